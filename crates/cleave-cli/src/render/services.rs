//! `cleave assess services` and `cleave assess table`.

use super::style::{BOLD, DIM, HINT, WARN, paint};
use super::{Human, counted, table};
use cleave_api::{
    BoundaryPrice, CutKey, CutObject, CutUse, EvidenceSummary, ServicePull, ServicesAlternative,
    ServicesReport, TableReport, TableTie,
};
use std::fmt::Write as _;

/// Lines of a list that are shown without `-v`.
const SHOWN: usize = 5;
/// Tables of a service on one line.
const LINE_WIDTH: usize = 88;

impl Human for ServicesReport {
    fn human(&self, verbose: u8) -> String {
        let mut text = format!(
            "{}  {} in {}, from {}\n",
            paint(BOLD, &self.database),
            counted(self.tables, "table", "tables"),
            self.chosen().map_or_else(
                || "no services".to_owned(),
                |shown| counted(shown.services.len() as u64, "service", "services")
            ),
            evidence(&self.evidence)
        );
        let Some(shown) = self.chosen() else { return text };
        services(shown, &mut text);
        unsure(shown, verbose, &mut text);
        splits(shown, &mut text);
        self.apart(&mut text);
        price(&shown.price, verbose, &mut text);
        self.ways(&mut text);
        text
    }
}

/// What is said of a report as a whole.
trait Whole {
    fn chosen(&self) -> Option<&ServicesAlternative>;
    fn apart(&self, text: &mut String);
    fn ways(&self, text: &mut String);
}

impl Whole for ServicesReport {
    fn chosen(&self) -> Option<&ServicesAlternative> {
        self.alternatives.iter().find(|alternative| alternative.grain == self.shown)
    }

    /// Hubs, polymorphic references, and what was left aside.
    fn apart(&self, text: &mut String) {
        let mut lines = Vec::new();
        for hub in &self.hubs {
            let of_all = if hub.universal { ", most tables" } else { "" };
            let seen = format!(
                "{} refer to it{of_all}: identity that services share",
                counted(hub.referring, "table", "tables")
            );
            lines.push(["hub".to_owned(), hub.table.clone(), seen]);
        }
        for pair in &self.polymorphic {
            let seen = format!("{} and {} refer to rows of several tables", pair.type_column, pair.id_column);
            lines.push(["polymorphic".to_owned(), pair.table.clone(), seen]);
        }
        for aside in &self.aside {
            lines.push(["left aside".to_owned(), aside.table.clone(), aside.reason.clone()]);
        }
        section("Apart", &lines, text);
    }

    fn ways(&self, text: &mut String) {
        if self.alternatives.len() < 2 {
            return;
        }
        let lines: Vec<[String; 4]> = self
            .alternatives
            .iter()
            .map(|way| {
                let mark = if way.grain == self.shown { " (shown)" } else { "" };
                let price = &way.price;
                let cost = format!(
                    "{}, {}, {}",
                    counted(price.keys.len() as u64, "key", "keys"),
                    counted(price.transactions.len() as u64, "saga", "sagas"),
                    counted(price.joins.len() as u64, "join", "joins")
                );
                let names: Vec<&str> = way.services.iter().map(|service| service.name.as_str()).collect();
                [
                    format!("{}{mark}", way.grain),
                    counted(names.len() as u64, "service", "services"),
                    cost,
                    listed(&names, SHOWN),
                ]
            })
            .collect();
        section("Alternatives", &lines, text);
    }
}

fn section<const N: usize>(title: &str, lines: &[[String; N]], text: &mut String) {
    if lines.is_empty() {
        return;
    }
    // Writing to a String cannot fail.
    let _ = write!(text, "\n{}\n{}", paint(BOLD, title), table::indented(lines));
}

fn evidence(from: &EvidenceSummary) -> String {
    let mut parts = vec![counted(from.keys, "key", "keys")];
    if from.implied_keys > 0 {
        parts.push(format!("{} that nobody declared", counted(from.implied_keys, "key", "keys")));
    }
    if from.implied_keys_unproven > 0 {
        parts.push(format!("{} unproven", from.implied_keys_unproven));
    }
    if from.functions > 0 {
        parts.push(counted(from.functions, "function", "functions"));
    }
    if from.workload.is_empty() {
        parts.push("no workload".to_owned());
    } else {
        parts.push(counted(from.statements, "statement", "statements"));
        parts.push(counted(from.transactions, "kind of transaction", "kinds of transaction"));
    }
    parts.join(", ")
}

fn services(shown: &ServicesAlternative, text: &mut String) {
    for service in &shown.services {
        let decided = if service.decided { paint(DIM, "  decided") } else { String::new() };
        let _ = writeln!(
            text,
            "\n{}  {}{decided}",
            paint(BOLD, &service.name),
            counted(service.tables.len() as u64, "table", "tables")
        );
        let names: Vec<String> = service
            .tables
            .iter()
            .map(|table| {
                let unsure = shown.unsure.iter().any(|unsure| unsure.table == table.table);
                let sure =
                    if unsure { format!(" ({} % sure)", table.confidence_percent) } else { String::new() };
                let parts = if table.partitions > 0 {
                    format!(" [{} partitions]", table.partitions)
                } else {
                    String::new()
                };
                format!("{}{parts}{sure}", table.table)
            })
            .collect();
        wrapped(&names, text);
    }
    if !shown.unassigned.is_empty() {
        let _ = writeln!(text, "\n{}  nothing ties these to any other table", paint(WARN, "in no service"));
        wrapped(&shown.unassigned, text);
    }
}

fn wrapped(names: &[String], text: &mut String) {
    let mut line = String::new();
    for name in names {
        if !line.is_empty() && line.chars().count() + name.chars().count() + 2 > LINE_WIDTH {
            let _ = writeln!(text, "  {line},");
            line.clear();
        }
        if !line.is_empty() {
            line.push_str(", ");
        }
        line.push_str(name);
    }
    if !line.is_empty() {
        let _ = writeln!(text, "  {line}");
    }
}

fn unsure(shown: &ServicesAlternative, verbose: u8, text: &mut String) {
    if shown.unsure.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", paint(BOLD, "Decide yourself"));
    let most = if verbose > 0 { usize::MAX } else { SHOWN };
    for unsure in shown.unsure.iter().take(most) {
        let _ = writeln!(text, "  {}  {} % for {}", unsure.table, unsure.confidence_percent, unsure.service);
        for pull in &unsure.pulls {
            let _ = writeln!(text, "    {}", pull_line(pull));
        }
    }
    more(shown.unsure.len(), most, text);
}

fn pull_line(pull: &ServicePull) -> String {
    let ties: Vec<String> = pull.ties.iter().map(tie_text).collect();
    format!("{} {} %: {}", paint(HINT, &pull.service), pull.share_percent, ties.join("; "))
}

fn tie_text(tie: &TableTie) -> String {
    format!("{} to {} ({})", tie.kind, tie.table, tie.seen)
}

fn splits(shown: &ServicesAlternative, text: &mut String) {
    let lines: Vec<[String; 2]> = shown
        .splits
        .iter()
        .map(|split| {
            let owners: Vec<String> = split
                .owners
                .iter()
                .map(|owner| match &owner.service {
                    Some(service) => format!("{} ({service})", owner.reached_by),
                    None => owner.reached_by.clone(),
                })
                .collect();
            [split.table.clone(), format!("each row belongs to one owner: {}", owners.join(", "))]
        })
        .collect();
    section("Could be split", &lines, text);
}

/// What could take the place of what crosses is said with `-v`; without it, the titles name the candidates.
fn price(price: &BoundaryPrice, verbose: u8, text: &mut String) {
    let most = if verbose > 0 { usize::MAX } else { SHOWN };
    let remedy = |remedy: &str| if verbose > 0 { remedy.to_owned() } else { String::new() };
    let key = |cut: &CutKey| {
        let between = format!("{} to {}", cut.from, cut.to);
        let constraint = if cut.constraint.is_some() { "" } else { "not declared, " };
        [cut.key.clone(), between, format!("{constraint}on delete {}", cut.on_delete), remedy(&cut.remedy)]
    };
    let keys: Vec<[String; 4]> = price.keys.iter().map(key).collect();
    list("Keys cut", &keys, most, text);
    let used = |cut: &CutUse| {
        let what = cut.text.as_deref().map_or_else(|| format!("writes {}", cut.writes.join(", ")), one_line);
        let times = format!("{} times", cleave_model::format_count(cut.count));
        [what, times, cut.services.join(", "), remedy(&cut.remedy)]
    };
    let transactions: Vec<[String; 4]> = price.transactions.iter().map(used).collect();
    list("Transactions over several services, candidates for a saga", &transactions, most, text);
    let joins: Vec<[String; 4]> = price.joins.iter().map(used).collect();
    list("Statements over several services, candidates for a copy or a projection", &joins, most, text);
    let object = |cut: &CutObject| [cut.object.clone(), cut.services.join(", "), remedy(&cut.remedy)];
    for (title, objects) in [
        ("Functions in the way", &price.functions),
        ("Triggers in the way", &price.triggers),
        ("Views in the way", &price.views),
    ] {
        let lines: Vec<[String; 3]> = objects.iter().map(object).collect();
        list(title, &lines, most, text);
    }
}

fn list<const N: usize>(title: &str, lines: &[[String; N]], most: usize, text: &mut String) {
    if lines.is_empty() {
        return;
    }
    section(&format!("{title}: {}", lines.len()), &lines[..lines.len().min(most)], text);
    more(lines.len(), most, text);
}

fn more(count: usize, most: usize, text: &mut String) {
    if count > most {
        let _ = writeln!(
            text,
            "  {}",
            paint(DIM, &format!("and {} more; -v or --format json has all", count - most))
        );
    }
}

fn listed(names: &[&str], most: usize) -> String {
    let rest = names.len().saturating_sub(most);
    let shown = names.iter().take(most).copied().collect::<Vec<_>>().join(", ");
    if rest > 0 { format!("{shown} and {rest} more") } else { shown }
}

/// A statement on one line, as far as it fits.
fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = words.chars().take(60).collect();
    if short.len() < words.len() { format!("{short}...") } else { words }
}

impl Human for TableReport {
    fn human(&self, verbose: u8) -> String {
        let place = match &self.service {
            Some(service) => {
                format!("in {} with {} % of runs", paint(BOLD, service), self.confidence_percent)
            }
            None => "in no service: nothing ties it to another table".to_owned(),
        };
        let hub = if self.hub { ", a hub: identity that services share" } else { "" };
        let mut text = format!("{}  {place}{hub}\n", paint(BOLD, &self.table));
        for pull in self.pulls.iter().filter(|pull| pull.weight > 0.0) {
            let _ = writeln!(text, "  {}  weight {:.2}", pull_line(pull), pull.weight);
        }
        let most = if verbose > 0 { usize::MAX } else { 20 };
        let lines: Vec<[String; 4]> = self
            .neighbours
            .iter()
            .take(most)
            .map(|other| {
                let ties: Vec<String> = other
                    .ties
                    .iter()
                    .map(|tie| format!("{} {:.2} ({})", tie.kind, tie.weight, tie.seen))
                    .collect();
                let service = other.service.clone().unwrap_or_default();
                [format!("{:.2}", other.weight), other.table.clone(), service, ties.join("; ")]
            })
            .collect();
        section("Ties by weight", &lines, &mut text);
        more(self.neighbours.len(), most, &mut text);
        text
    }
}
