//! `cleave apply`, `complete`, `cancel`, `pause`, `resume`.

use super::Human;
use super::style::{BOLD, paint};
use cleave_api::ChangeReport;

impl Human for ChangeReport {
    fn human(&self, _verbose: u8) -> String {
        let would = if self.dry_run { ", rehearsed: nothing was changed" } else { "" };
        let mut text = format!(
            "{}  {} by {}{would}; home {}, epoch {}\n",
            paint(BOLD, &self.service),
            self.state.as_str(),
            self.verb,
            self.home,
            self.epoch
        );
        for line in &self.done {
            text.push_str(&format!("  {line}\n"));
        }
        text
    }
}
