//! Collects errors and warnings with their places.

use crate::{ConfigError, ConfigErrors, ErrorCode, Severity, Source, Span};

/// What was found so far. The most recent finding can be given a label and a hint.
pub(crate) struct Findings<'a> {
    source: Source<'a>,
    found: Vec<ConfigError>,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(source: Source<'a>) -> Self {
        Self { source, found: Vec::new() }
    }

    /// Adds a finding; its severity is the code's.
    pub(crate) fn report(
        &mut self,
        code: ErrorCode,
        span: &Span,
        message: impl Into<String>,
    ) -> &mut ConfigError {
        let (line, column) = self.source.line_column(span.start);
        let at = self.found.len();
        self.found.push(ConfigError {
            code,
            message: message.into(),
            label: String::new(),
            hint: None,
            span: span.clone(),
            line,
            column,
        });
        &mut self.found[at]
    }

    /// The warnings, if there are no errors; else all in the order of lines.
    pub(crate) fn finish(self) -> Result<Vec<ConfigError>, ConfigErrors> {
        let has_errors = self.found.iter().any(|found| found.code.severity() == Severity::Error);
        let errors = self.into_errors();
        if has_errors { Err(errors) } else { Ok(errors.errors) }
    }

    pub(crate) fn into_errors(mut self) -> ConfigErrors {
        self.found.sort_by_key(|found| found.span.start);
        ConfigErrors { file: self.source.file.to_owned(), errors: self.found }
    }
}

impl ConfigError {
    /// A few words beside the marked place.
    pub(crate) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = label.into();
        self
    }

    /// What to write instead.
    pub(crate) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The candidate that the text was most likely meant to be.
pub(crate) fn nearest<'n>(text: &str, candidates: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let scored = candidates.into_iter().map(|candidate| (strsim::jaro_winkler(text, candidate), candidate));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= 0.75).then_some(best.1)
}
