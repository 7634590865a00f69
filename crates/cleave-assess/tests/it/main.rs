//! What cleave-assess makes of a catalog, and the pages that are made from its rules.

#![cfg(test)]

mod pages;
