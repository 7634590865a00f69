//! `cleave explain`.

use super::style::{BOLD, paint};
use super::{Human, table};
use cleave_api::Explanation;

impl Human for Explanation {
    /// The Markdown page, with its headings set off and the fences of code blocks left out.
    fn human(&self, _verbose: u8) -> String {
        let mut text = String::new();
        let mut code = false;
        for line in self.text.lines() {
            if line.starts_with("```") {
                code = !code;
            } else if code {
                text.push_str(if line.is_empty() { "" } else { "    " });
                text.push_str(line);
                text.push('\n');
            } else {
                let heading = line.trim_start_matches('#');
                let shown =
                    if heading.len() < line.len() { paint(BOLD, heading.trim()) } else { line.to_owned() };
                text.push_str(&shown);
                text.push('\n');
            }
        }
        text
    }
}

impl Human for Vec<Explanation> {
    fn human(&self, _verbose: u8) -> String {
        let rows: Vec<[String; 2]> =
            self.iter().map(|page| [paint(BOLD, &page.code), page.title.clone()]).collect();
        table::columns(&rows)
    }
}
