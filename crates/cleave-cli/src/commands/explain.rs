//! `cleave explain`: the page of an error code.

use crate::context::Context;
use crate::failure::Failure;
use crate::pages::{PAGES, page, title};
use cleave_api::{ExitCode, Explanation, Output, Problem};

/// Explain an error code: its cause, an example and the fix
///
/// Without a code, lists all codes.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// The code, as it stands in a message: C0007
    pub code: Option<String>,
}

/// Runs the verb.
pub async fn run(arguments: ExplainArgs, context: &Context) -> Result<ExitCode, Failure> {
    match arguments.code {
        Some(code) => {
            let (code, text) = page(&code).ok_or_else(|| unknown(&code))?;
            context.output.report(Output::new(explanation(code, text)), None)?;
        }
        None => {
            let all: Vec<Explanation> = PAGES.iter().map(|(code, text)| explanation(code, text)).collect();
            context.output.report(Output::new(all), None)?;
        }
    }
    Ok(ExitCode::Done)
}

fn explanation(code: &str, text: &str) -> Explanation {
    Explanation { code: code.to_owned(), title: title(text).to_owned(), text: text.to_owned() }
}

fn unknown(code: &str) -> Problem {
    Problem::error("C0902", format!("there is no code `{code}`"))
        .about(code)
        .hint("a code is a C and four digits, as in C0007; `cleave explain` lists them all")
        .exit(ExitCode::Usage)
}
