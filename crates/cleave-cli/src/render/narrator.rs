//! Tells events as they come: lines for what happened, bars for finite work on a terminal.

use super::style::{DIM, GOOD, paint};
use cleave_api::{CopyProgress, Event};
use cleave_model::{format_bytes, format_count, format_duration_ms};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;

/// Drawing state of the terminal. The caller serialises access.
pub struct Narrator {
    bars: MultiProgress,
    enabled: bool,
    /// By service and kind of work.
    running: BTreeMap<(String, String), ProgressBar>,
}

impl Narrator {
    /// `bars` wishes for bars; they are drawn only if standard error is a terminal.
    pub fn new(bars: bool) -> Self {
        let enabled = bars && std::io::stderr().is_terminal();
        let target = if enabled { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), enabled, running: BTreeMap::new() }
    }

    /// Draws progress, and returns the line to print for anything else. `quiet` leaves only problems.
    pub fn tell(&mut self, event: &Event, quiet: bool) -> String {
        if let Event::Problem { problem, .. } = event {
            return super::problem(problem);
        }
        if quiet {
            return String::new();
        }
        match event {
            Event::StepStarted { service, summary, .. } => line(service, &paint(DIM, summary)),
            Event::StepFinished { service, step, summary, elapsed_ms } => {
                self.finish(service, step);
                let took = paint(DIM, &format_duration_ms(*elapsed_ms));
                line(service, &format!("{} {summary}  {took}", paint(GOOD, "done")))
            }
            Event::CopyProgress { service, table, progress } => {
                self.copy(service, table.as_deref(), progress);
                String::new()
            }
            Event::Progress { service, what, done, total, unit } => {
                self.work(service, what, *done, *total, unit);
                String::new()
            }
            Event::Note { service, message } => match service {
                Some(service) => line(service, message),
                None => format!("{message}\n"),
            },
            Event::Next { next } => super::closing(std::slice::from_ref(next), None),
            Event::Problem { .. } => String::new(),
        }
    }

    /// Removes every bar.
    pub fn clear(&mut self) {
        for bar in std::mem::take(&mut self.running).into_values() {
            bar.finish_and_clear();
        }
    }

    /// Runs `print` with the bars out of the way.
    pub fn suspend(&mut self, print: impl FnOnce()) {
        self.bars.suspend(print);
    }

    fn copy(&mut self, service: &str, table: Option<&str>, progress: &CopyProgress) {
        let mut words = vec![format_bytes(progress.bytes)];
        if let Some(total) = progress.bytes_total {
            words = vec![format!("{} of {}", words.concat(), format_bytes(total))];
        }
        words.push(format!("{} rows", format_count(progress.rows)));
        words.push(format!("{} of {} tables", progress.tables_done, progress.tables));
        words.extend(progress.rate_bytes.map(|rate| format!("{}/s", format_bytes(rate))));
        words.extend(progress.eta_ms.map(|left| format!("about {} left", format_duration_ms(left))));
        words.extend(table.map(str::to_owned));
        self.draw(service, "copy", progress.bytes, progress.bytes_total, words.join(", "));
    }

    fn work(&mut self, service: &str, what: &str, done: u64, total: Option<u64>, unit: &str) {
        let words = match total {
            Some(total) => format!("{} of {} {unit}", format_count(done), format_count(total)),
            None => format!("{} {unit}", format_count(done)),
        };
        self.draw(service, what, done, total, words + &self.pace(service, what, done, total));
    }

    /// How fast finite work goes and how long it still takes, once its bar is there.
    fn pace(&self, service: &str, what: &str, done: u64, total: Option<u64>) -> String {
        let bar = self.running.get(&(service.to_owned(), what.to_owned()));
        let seconds = bar.map_or(0.0, |bar| bar.elapsed().as_secs_f64());
        if seconds < 1.0 || done == 0 {
            return String::new();
        }
        let rate = done as f64 / seconds;
        let left = total.map_or(0.0, |total| total.saturating_sub(done) as f64 / rate);
        let left = if left < 1.0 {
            String::new()
        } else {
            format!(", about {} left", format_duration_ms((left * 1000.0) as u64))
        };
        format!(", {}/s{left}", format_count(rate as u64))
    }

    fn draw(&mut self, service: &str, what: &str, done: u64, total: Option<u64>, words: String) {
        if !self.enabled {
            return;
        }
        let bars = &self.bars;
        let bar = self.running.entry((service.to_owned(), what.to_owned())).or_insert_with(|| {
            let bar = bars.add(ProgressBar::new(total.unwrap_or(0)));
            bar.set_style(style(total.is_some()));
            bar.set_prefix(format!("{service} {what}"));
            bar
        });
        if let Some(total) = total {
            // Totals are estimates: the bar must not run past its end.
            bar.set_length(total.max(done));
        }
        bar.set_position(done);
        bar.set_message(words);
    }

    fn finish(&mut self, service: &str, step: &str) {
        if let Some(bar) = self.running.remove(&(service.to_owned(), step.to_owned())) {
            bar.finish_and_clear();
        }
    }
}

fn style(bounded: bool) -> ProgressStyle {
    let template = if bounded { "{prefix}  {bar:20}  {msg}" } else { "{prefix}  {msg}" };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("██░")
}

fn line(service: &str, text: &str) -> String {
    format!("{service}  {text}\n")
}
