//! A real browser without a window: what it shows, what it prints, and what it measures on a page.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Chromium, with a profile that is thrown away.
pub(crate) struct Browser {
    program: PathBuf,
    profile: TempDir,
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
}

impl Browser {
    /// The browser of this machine. Where there is none, the test is counted as skipped; `REQUIRE_BROWSER=1` makes that a
    /// failure.
    pub(crate) fn find(test: &str) -> Option<Self> {
        let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
        let folders: Vec<PathBuf> =
            std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
        let mut candidates = folders.iter().flat_map(|folder| names.map(|name| folder.join(name)));
        if let Some(program) = candidates.find(|path| path.is_file()) {
            return Some(Self { program, profile: TempDir::new().unwrap() });
        }
        assert!(std::env::var_os("REQUIRE_BROWSER").is_none_or(|value| value != "1"), "no chromium in PATH");
        if let Some(list) = std::env::var_os("CLEAVE_SKIPPED_FILE") {
            let mut list = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
            writeln!(list, "{test}: no chromium in PATH").unwrap();
        }
        None
    }

    /// A picture of the page, as a PNG file.
    pub(crate) fn picture(&self, page: &Path, look: Look, file: &Path) {
        let picture = format!("--screenshot={}", file.display());
        let theme = format!("--blink-settings=preferredColorScheme={}", if look.dark { 0 } else { 1 });
        self.run(&[&picture, &theme, &size(look), &address(page)]);
    }

    /// The page on paper, as a PDF file.
    pub(crate) fn paper(&self, page: &Path, file: &Path) {
        let paper = format!("--print-to-pdf={}", file.display());
        self.run(&["--no-pdf-header-footer", &paper, &address(page)]);
    }

    /// The page's text after its scripts have run.
    pub(crate) fn page_after_scripts(&self, page: &Path, look: Look) -> String {
        self.run(&["--dump-dom", "--virtual-time-budget=2000", &size(look), &address(page)])
    }

    fn run(&self, arguments: &[&str]) -> String {
        let profile = format!("--user-data-dir={}", self.profile.path().display());
        let output = Command::new(&self.program)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"])
            .args([
                "--disable-dev-shm-usage",
                "--disable-extensions",
                "--force-device-scale-factor=1",
                &profile,
            ])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn size(look: Look) -> String {
    format!("--window-size={},{}", look.width, look.height)
}

fn address(page: &Path) -> String {
    format!("file://{}", page.display())
}

/// Width and height of a PNG file.
pub(crate) fn png_size(file: &Path) -> (u32, u32) {
    let bytes = std::fs::read(file).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}
