//! `cleave assess --html`.

use super::style::{BOLD, GOOD, paint};
use super::{Human, counted};
use cleave_api::AssessmentPage;
use cleave_model::format_bytes;

impl Human for AssessmentPage {
    fn human(&self, _verbose: u8) -> String {
        format!(
            "{} {} ({}): {}, {}, {} across services\n",
            paint(GOOD, "written"),
            paint(BOLD, &self.file),
            format_bytes(self.bytes),
            counted(self.findings, "finding", "findings"),
            counted(self.tables, "table", "tables"),
            counted(self.crossings, "crossing", "crossings"),
        )
    }
}
