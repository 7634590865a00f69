//! `cleave graph`.

use super::style::{BOLD, GOOD, HINT, paint};
use super::{Human, counted, table};
use cleave_api::GraphReport;

impl Human for GraphReport {
    fn human(&self, verbose: u8) -> String {
        let tables: usize = self.groups.iter().map(|group| group.tables.len()).sum();
        let groups = counted(self.groups.len() as u64, "group", "groups");
        let ties = counted(self.ties.len() as u64, "pair is tied", "pairs are tied");
        let tables = counted(tables as u64, "table", "tables");
        let written = match &self.file {
            Some(file) => {
                format!("{} {}: {groups}, {tables}, {ties}\n", paint(GOOD, "written"), paint(BOLD, file))
            }
            None => format!("{groups}, {tables}, {ties}\n"),
        };
        if verbose == 0 {
            return written;
        }
        let line = |tie: &cleave_api::GraphTie| {
            let counts: Vec<String> =
                tie.counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            [tie.from.clone(), tie.to.clone(), paint(HINT, &counts.join(", "))]
        };
        written + &table::columns(&self.ties.iter().map(line).collect::<Vec<_>>())
    }
}
