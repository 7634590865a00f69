//! `cleave apply`, `complete`, `cancel`, `pause`, `resume`.

use super::Human;
use super::style::{BOLD, paint};
use cleave_api::ChangeReport;

impl Human for ChangeReport {
    fn human(&self, _verbose: u8) -> String {
        let would = if self.dry_run { ", rehearsed: nothing was changed" } else { "" };
        let mut text = format!(
            "{}  {} after {}{would}; home {}, epoch {}\n",
            paint(BOLD, &self.service),
            self.state.as_str(),
            self.verb,
            self.home,
            self.epoch
        );
        // What was done has been told step by step; what would be done is only here.
        for line in self.done.iter().filter(|_| self.dry_run) {
            text.push_str(&format!("  {line}\n"));
        }
        text
    }
}
