//! The report: one page of HTML that needs nothing from elsewhere, to be read on a screen, a phone or paper.
//!
//! [`Page`] is what it is made from; who assesses a database fills it. Every text in it is text: nothing that a database
//! calls its objects can become markup.

mod html;
mod page;

#[cfg(test)]
mod tests;

pub use html::html;
pub use page::{Alternative, BoundaryLine, FindingCard, Page, ProposedService, ProposedTable, Weight};
