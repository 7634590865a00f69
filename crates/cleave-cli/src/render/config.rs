//! `cleave config check`.

use super::style::{BOLD, GOOD, paint};
use super::{Human, counted, table};
use cleave_api::ConfigReport;

impl Human for ConfigReport {
    fn human(&self, _verbose: u8) -> String {
        let databases = counted(self.databases.len() as u64, "database", "databases");
        let services = counted(self.services.len() as u64, "service", "services");
        let mut text = format!("{} {}: {databases}, {services}\n", paint(GOOD, "ok"), self.file);
        for service in &self.services {
            text.push_str(&format!("\n{}\n", paint(BOLD, &service.name)));
            let copy = service.copy.clone().unwrap_or_else(|| "none".to_owned());
            text.push_str(&table::indented(&[
                ["move".to_owned(), format!("{} to {}", service.from, service.home)],
                ["tables".to_owned(), service.tables.join(", ")],
                ["copy".to_owned(), copy],
                ["bridge".to_owned(), service.bridge.clone()],
            ]));
        }
        text
    }
}
