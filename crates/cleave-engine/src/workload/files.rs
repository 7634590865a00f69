//! `--workload FILE`: log files, line by line.

use super::{counted, refused};
use crate::EngineError;
use cleave_api::Problem;
use cleave_assess::workload::log::{Format, Prefix, Reader};
use cleave_assess::workload::{Collector, Sessions};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Lines by which a file's format is recognised.
const LINES_LOOKED_AT: usize = 200;
/// Longest line that is kept.
const LINE_BYTES_MAX: usize = 8 << 20;
/// Bytes that the file is read by.
const BUFFER_BYTES: usize = 1 << 20;

/// What is to be read.
pub(super) struct Input {
    pub(super) paths: Vec<PathBuf>,
    pub(super) prefix: String,
    /// True if the user has named the prefix.
    pub(super) given: bool,
    pub(super) database: String,
}

/// Reads the files in the order given, as one log.
pub(super) fn read(
    input: &Input,
    mut collector: Collector,
) -> Result<(Collector, Vec<Problem>), EngineError> {
    let mut problems = Vec::new();
    let mut sessions = Sessions::of(&input.database);
    for path in &input.paths {
        let format = recognise(path, input)?;
        collector.source(format!("{} ({})", path.display(), format.as_str()));
        if let Format::Stderr(prefix) = &format
            && !prefix.names_session()
        {
            let message = format!(
                "{} does not say which session a line is of: its statements are not grouped into transactions",
                path.display()
            );
            let hint = "log_line_prefix = '%m [%p] %q%u@%d %v ', for the log to come";
            problems.push(Problem::warning("C1004", message).hint(hint).about(path.display().to_string()));
        }
        let mut reader = Reader::new(format);
        let too_long = lines(path, |line| {
            if let Some(entry) = reader.line(line) {
                sessions.take(&entry, &mut collector);
            }
            true
        })?;
        if let Some(entry) = reader.finish() {
            sessions.take(&entry, &mut collector);
        }
        let skipped = reader.skipped() + too_long;
        if skipped > 0 {
            let message =
                format!("{} of {} could not be read", counted(skipped, "entry", "entries"), path.display());
            problems.push(Problem::warning("C1008", message).about(path.display().to_string()));
        }
    }
    sessions.finish(&mut collector);
    if sessions.counts().0 == 0 {
        let message = format!("the log has no statement of database {}", input.database);
        let hint = "log_statement = 'all' or log_min_duration_statement = 0 has statements written, and lc_messages = 'C' has them written in English";
        problems.push(Problem::warning("C1009", message).hint(hint));
    }
    Ok((collector, problems))
}

fn recognise(path: &Path, input: &Input) -> Result<Format, EngineError> {
    let mut first = Vec::new();
    lines(path, |line| {
        first.push(line.to_owned());
        first.len() < LINES_LOOKED_AT
    })?;
    let prefix = Prefix::new(&input.prefix);
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let format = Format::recognise(&first, std::slice::from_ref(&prefix));
    let format = match format {
        Some(Format::Stderr(_)) if input.given => Some(Format::Stderr(prefix)),
        format => format,
    };
    format.ok_or_else(|| {
        let message = format!("{} is no log that Cleave can read", path.display());
        refused(
            "C1003",
            message,
            "it reads csvlog, jsonlog and stderr; --log-line-prefix says what stands before each line",
        )
    })
}

/// Gives every line to `take` until it has seen enough, and says how many were too long to be given.
fn lines(path: &Path, mut take: impl FnMut(&str) -> bool) -> Result<u64, EngineError> {
    let unreadable = |error: &dyn std::fmt::Display| {
        refused(
            "C1002",
            format!("{} cannot be read: {error}", path.display()),
            "name a log file of the server",
        )
    };
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let mut input = BufReader::with_capacity(BUFFER_BYTES, file);
    let start = input.fill_buf().map_err(|error| unreadable(&error))?;
    if start.starts_with(&[0x1f, 0x8b]) || start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Err(unreadable(&"it is compressed; unpack it first"));
    }
    let (mut line, mut too_long, mut skipping) = (Vec::new(), 0, false);
    loop {
        let buffer = input.fill_buf().map_err(|error| unreadable(&error))?;
        let newline = buffer.iter().position(|byte| *byte == b'\n');
        let ended = buffer.is_empty();
        let part = &buffer[..newline.unwrap_or(buffer.len())];
        if line.len() + part.len() > LINE_BYTES_MAX {
            skipping = true;
            line.clear();
        } else if !skipping {
            line.extend_from_slice(part);
        }
        let used = newline.map_or(buffer.len(), |at| at + 1);
        input.consume(used);
        if newline.is_none() && !ended {
            continue;
        }
        too_long += u64::from(skipping);
        let last = ended && line.is_empty();
        if !skipping && !last {
            // A log may hold several databases' encodings; what is no UTF-8 is in constants, which are left out.
            let text = String::from_utf8_lossy(&line);
            if !take(text.strip_suffix('\r').unwrap_or(&text)) {
                return Ok(too_long);
            }
        }
        if ended {
            return Ok(too_long);
        }
        skipping = false;
        line.clear();
    }
}
