//! The pages of `docs/explain`, embedded at build time.

/// Code and text of every page, in the order of codes.
pub const PAGES: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// The page of a code, in any case: `c0007` finds `C0007`.
pub fn page(code: &str) -> Option<(&'static str, &'static str)> {
    PAGES.iter().copied().find(|(known, _)| known.eq_ignore_ascii_case(code))
}

/// The title of a page: what follows the code in its first line.
pub fn title(text: &str) -> &str {
    let first = text.lines().next().unwrap_or_default();
    first.split_once(':').map_or(first, |(_, title)| title).trim()
}
