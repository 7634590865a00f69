//! The page as HTML that is XML too, so that any reader of either can check it.

use super::page::{Alternative, BoundaryLine, FindingCard, Page, ProposedTable, Weight};
use crate::picture::{self, GroupKind, Style, Survey, escape};
use cleave_model::{format_bytes, format_count};
use std::fmt::Write as _;

const PAGE_STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Nothing may be fetched, whatever a browser finds in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The whole page.
pub fn html(page: &Page) -> String {
    let mut text = head(page);
    findings(page, &mut text);
    services(page, &mut text);
    pictures(&page.survey, &mut text);
    boundary(&page.boundary, &mut text);
    inventory(&page.survey, &mut text);
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "<p class=\"none\" id=\"nothing\" hidden=\"hidden\">Nothing on this page has all of these words.</p>\n</main>\n\
         <footer>Made by cleave assess, {}. <code>cleave explain CODE</code> says more about a finding.</footer>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n",
        escape(&page.made)
    );
    text
}

fn head(page: &Page) -> String {
    let database = escape(&page.survey.database);
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<meta http-equiv=\"Content-Security-Policy\" content=\"{}\"/>\n\
         <title>{database}: assessment</title>\n<style>\n{}{PAGE_STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{database}</h1>\n\
         <p class=\"soft\">{}{}</p>\n<dl class=\"facts\">\n",
        escape(POLICY),
        crate::picture::COLOURS,
        if page.server.is_empty() { String::new() } else { format!("{}, ", escape(&page.server)) },
        escape(&page.made),
    );
    for (number, what) in facts(page) {
        let _ = writeln!(text, "<div><dt>{}</dt><dd>{}</dd></div>", escape(&what), escape(&number));
    }
    text.push_str("</dl>\n</header>\n<nav>\n");
    for (id, name, count) in sections(page) {
        let _ = writeln!(text, "<a href=\"#{id}\">{name} <span class=\"count\">{count}</span></a>");
    }
    text.push_str(
        "<label class=\"search\"><span class=\"aside\">Search this page</span><input type=\"search\" id=\"search\" \
         placeholder=\"Search: a table, a code, a word\" autocomplete=\"off\"/></label>\n</nav>\n<main>\n",
    );
    text
}

fn facts(page: &Page) -> Vec<(String, String)> {
    let survey = &page.survey;
    let rows = survey.tables.iter().map(|table| table.rows).sum();
    let bytes = survey.tables.iter().map(|table| table.bytes).sum();
    let mut facts = vec![
        (format_count(survey.tables.len() as u64), "tables".to_owned()),
        (format_count(rows), "rows, estimated".to_owned()),
        (format_bytes(bytes), "with indexes".to_owned()),
        (format_count(survey.keys.len() as u64), "foreign keys".to_owned()),
    ];
    if page.checks > 0 {
        for weight in [Weight::Blocker, Weight::Warning] {
            let count = page.findings.iter().filter(|finding| finding.weight == weight).count() as u64;
            facts.push((format_count(count), format!("{}s", weight.as_str())));
        }
    }
    facts
}

fn sections(page: &Page) -> Vec<(&'static str, &'static str, usize)> {
    let mut sections = Vec::new();
    if page.checks > 0 {
        sections.push(("findings", "Findings", page.findings.len()));
    }
    if !page.alternatives.is_empty() {
        sections.push(("services", "Services", page.alternatives.len()));
    }
    sections.push(("pictures", "Pictures", page.survey.groups.len() + 1));
    sections.push(("boundary", "Boundary", page.boundary.len()));
    sections.push(("tables", "Tables", page.survey.tables.len()));
    sections
}

fn findings(page: &Page, text: &mut String) {
    if page.checks == 0 {
        return;
    }
    text.push_str("<section id=\"findings\">\n<h2>Findings</h2>\n");
    let _ = writeln!(
        text,
        "<p class=\"soft\">{} checks were made.{}</p>",
        format_count(page.checks),
        if page.findings.is_empty() { " None of them found anything." } else { "" }
    );
    for sentence in &page.unread {
        let _ = writeln!(text, "<p class=\"unread\">{}</p>", escape(sentence));
    }
    for alike in grouped(&page.findings) {
        finding(&alike, text);
    }
    text.push_str("</section>\n");
}

/// Findings with one code and one reason, the worst first and otherwise in their order.
fn grouped(findings: &[FindingCard]) -> Vec<Vec<&FindingCard>> {
    let mut groups: Vec<Vec<&FindingCard>> = Vec::new();
    for finding in findings {
        let alike = |group: &&mut Vec<&FindingCard>| {
            let first = group.first();
            first.is_some_and(|first| {
                (&first.code, first.weight, &first.why) == (&finding.code, finding.weight, &finding.why)
            })
        };
        match groups.iter_mut().find(alike) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups.sort_by_key(|group| group.first().map(|finding| finding.weight));
    groups
}

fn finding(alike: &[&FindingCard], text: &mut String) {
    let Some(first) = alike.first() else { return };
    let word = first.weight.as_str();
    let times = if alike.len() > 1 {
        format!(" <span class=\"count\">{} times</span>", alike.len())
    } else {
        String::new()
    };
    let _ = write!(
        text,
        "<article class=\"finding {word}\" data-find=\"\">\n<h3><span class=\"tag\">{word}</span> <code>{}</code> \
         <span class=\"why\">{}</span>{times}</h3>\n<ul>\n",
        escape(&first.code),
        prose(&first.why)
    );
    for finding in alike {
        let object = finding.object.as_ref().map(|object| format!(" <b>{}</b>", escape(object)));
        let fix = finding.fix.as_ref().map(|fix| format!("\n<pre>{}</pre>", lines(fix)));
        let _ = writeln!(
            text,
            "<li data-find=\"\"><span class=\"soft\">{}</span>{}: {}{}</li>",
            escape(&finding.database),
            object.unwrap_or_default(),
            prose(&finding.seen),
            fix.unwrap_or_default()
        );
    }
    text.push_str("</ul>\n</article>\n");
}

/// A sentence: what stands between backquotes is code.
fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // A lone backquote is itself.
    if parts.len().is_multiple_of(2) {
        return escape(text);
    }
    let part = |(at, part): (usize, &&str)| {
        if at % 2 == 1 { format!("<code>{}</code>", escape(part)) } else { escape(part) }
    };
    parts.iter().enumerate().map(part).collect()
}

/// A text of several lines, which stay.
fn lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

fn services(page: &Page, text: &mut String) {
    if page.alternatives.is_empty() {
        return;
    }
    text.push_str("<section id=\"services\">\n<h2>Services</h2>\n");
    for (at, alternative) in page.alternatives.iter().enumerate() {
        let open = if at == 0 { " open=\"open\"" } else { "" };
        let _ = write!(
            text,
            "<details class=\"alternative\"{open}>\n<summary><b>{}</b> <span class=\"soft\">{} services</span></summary>\n<p>{}</p>\n",
            escape(&alternative.name),
            alternative.services.len(),
            escape(&alternative.summary)
        );
        prices(alternative, text);
        text.push_str("<div class=\"cards\">\n");
        for service in &alternative.services {
            let _ = write!(
                text,
                "<article class=\"service\" data-find=\"\">\n<h3>{} <span class=\"soft\">{}</span></h3>\n<ul>\n",
                escape(&service.name),
                service.tables.len()
            );
            service.tables.iter().for_each(|table| proposed(table, text));
            text.push_str("</ul>\n</article>\n");
        }
        text.push_str("</div>\n");
        for note in &alternative.notes {
            let _ = writeln!(text, "<p class=\"note\" data-find=\"\">{}</p>", escape(note));
        }
        text.push_str("</details>\n");
    }
    text.push_str("</section>\n");
}

fn prices(alternative: &Alternative, text: &mut String) {
    if alternative.prices.is_empty() {
        return;
    }
    text.push_str("<dl class=\"prices\">\n");
    for (count, what) in &alternative.prices {
        let _ = writeln!(text, "<div><dt>{}</dt><dd>{}</dd></div>", escape(what), format_count(*count));
    }
    text.push_str("</dl>\n");
}

fn proposed(table: &ProposedTable, text: &mut String) {
    let sure = table.confidence_percent.map(|percent| {
        format!(" <meter min=\"0\" max=\"100\" low=\"60\" value=\"{percent}\">{percent} %</meter> <span class=\"soft\">{percent} %</span>")
    });
    let note = table.note.as_ref().map(|note| format!(" <span class=\"soft\">{}</span>", escape(note)));
    let (sure, note) = (sure.unwrap_or_default(), note.unwrap_or_default());
    let _ = writeln!(text, "<li><code>{}</code>{sure}{note}</li>", escape(&table.name));
}

fn pictures(survey: &Survey, text: &mut String) {
    text.push_str("<section id=\"pictures\">\n<h2>Pictures</h2>\n");
    let groups = survey.groups.iter().any(|group| group.kind == GroupKind::Service);
    let title = if groups {
        "Services and what crosses between them"
    } else {
        "Groups of tables and what crosses between them"
    };
    drawing(title, true, &picture::overview(survey, Style::Inline(0)), text);
    for (at, group) in survey.groups.iter().enumerate().filter(|(_, group)| !group.tables.is_empty()) {
        let noun = if group.tables.len() == 1 { "table" } else { "tables" };
        let title = format!("{}: {} {noun} and their keys", group.name, group.tables.len());
        drawing(&title, false, &picture::tables(survey, at, Style::Inline(at + 1)), text);
    }
    text.push_str("</section>\n");
}

fn drawing(title: &str, open: bool, svg: &str, text: &mut String) {
    let open = if open { " open=\"open\"" } else { "" };
    let _ = write!(
        text,
        "<details class=\"drawing\" data-find=\"\"{open}>\n<summary>{}</summary>\n\
         <button type=\"button\" class=\"fit\" aria-pressed=\"false\">Fit to the page</button>\n\
         <div class=\"frame\" tabindex=\"0\">{svg}</div>\n</details>\n",
        escape(title)
    );
}

fn boundary(lines: &[BoundaryLine], text: &mut String) {
    text.push_str("<section id=\"boundary\">\n<h2>Boundary</h2>\n");
    if lines.is_empty() {
        text.push_str("<p class=\"soft\">Nothing crosses.</p>\n</section>\n");
        return;
    }
    let evidence = lines.iter().any(|line| !line.evidence.is_empty());
    let remedy = lines.iter().any(|line| !line.remedy.is_empty());
    let mut columns = vec!["Kind", "What", "Between"];
    columns.extend(evidence.then_some("Evidence"));
    columns.extend(remedy.then_some("Remedy"));
    table_head(&columns, text);
    for line in lines {
        let between = line.between.iter().map(|name| escape(name)).collect::<Vec<_>>().join(" and ");
        let mut cells = vec![escape(&line.kind), format!("<code>{}</code>", escape(&line.object)), between];
        cells.extend(evidence.then(|| escape(&line.evidence)));
        cells.extend(remedy.then(|| prose(&line.remedy)));
        table_row(&columns, &cells, text);
    }
    text.push_str("</tbody>\n</table>\n</section>\n");
}

fn inventory(survey: &Survey, text: &mut String) {
    let (mut out, mut into) = (vec![0_u64; survey.tables.len()], vec![0_u64; survey.tables.len()]);
    for key in &survey.keys {
        out[key.from] += 1;
        into[key.to] += 1;
    }
    text.push_str("<section id=\"tables\">\n<h2>Tables</h2>\n");
    let columns = ["Table", "Group", "Rows", "Size", "Keys to others", "Keys from others"];
    table_head(&columns, text);
    for (at, table) in survey.tables.iter().enumerate() {
        let partitions = match (table.partitions, table.remark) {
            (0, None) => String::new(),
            (0, Some(remark)) => format!(" <span class=\"soft\">{}</span>", escape(remark)),
            (count, _) => format!(" <span class=\"soft\">{count} partitions</span>"),
        };
        let cells = [
            format!("<code>{}</code>{partitions}", escape(&table.name.to_string())),
            escape(&survey.groups[table.group].name),
            format_count(table.rows),
            format_bytes(table.bytes),
            out[at].to_string(),
            into[at].to_string(),
        ];
        table_row(&columns, &cells, text);
    }
    text.push_str("</tbody>\n</table>\n</section>\n");
}

fn table_head(columns: &[&str], text: &mut String) {
    text.push_str("<table>\n<thead><tr>");
    for column in columns {
        let _ = write!(text, "<th scope=\"col\">{column}</th>");
    }
    text.push_str("</tr></thead>\n<tbody>\n");
}

/// A row whose cells say their column's name too: on a phone they stand one below the other.
fn table_row(columns: &[&str], cells: &[String], text: &mut String) {
    text.push_str("<tr data-find=\"\">");
    for (column, cell) in columns.iter().zip(cells) {
        let _ = write!(text, "<td data-column=\"{column}\">{cell}</td>");
    }
    text.push_str("</tr>\n");
}
