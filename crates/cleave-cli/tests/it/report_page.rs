//! `cleave assess --html`: the page as a browser shows it.

use crate::browser::{Browser, Look, png_size};
use crate::store::Store;
use std::path::{Path, PathBuf};

const DESK: Look = Look { width: 1280, height: 1600, dark: false };
const DARK: Look = Look { dark: true, ..DESK };
const PHONE: Look = Look { width: 390, height: 1600, dark: false };

const HOSTILE: &str =
    r#"create table "Weird ""<&Name" ("<b>id</b>" bigint primary key, film_id bigint references film)"#;

/// The page of a small monolith with a table of a strange name.
async fn page(store: &Store) -> PathBuf {
    store.on_m(HOSTILE).await;
    store.expect(0, &["assess", "--html", "report.html"]).await;
    store.runner.path().join("report.html")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_has_findings_services_pictures_boundary_and_tables() {
    let store = Store::new().await;
    let html = std::fs::read_to_string(page(&store).await).unwrap();
    for id in ["findings", "services", "pictures", "boundary", "tables"] {
        assert!(html.contains(&format!("<section id=\"{id}\">")), "no section {id}");
    }
    assert!(
        html.contains("public.&quot;Weird &quot;&quot;&lt;&amp;Name&quot;"),
        "the strange name is not shown"
    );
    assert!(!html.contains("<b>id</b>"), "a column's name became markup");
    insta::assert_snapshot!(
        "assess_html_unwritable",
        store.run(&["assess", "--html", "no/such/folder.html"]).await
    );
}

/// Appends a script that writes what it measures into the page.
fn measured(browser: &Browser, page: &Path, look: Look, script: &str) -> Vec<String> {
    let html = std::fs::read_to_string(page).unwrap();
    let probe = format!(
        "<script>window.addEventListener('load', function () {{ var said = []; {script}; \
         var result = document.createElement('output'); result.id = 'measured'; result.textContent = said.join('|'); \
         document.body.appendChild(result); }});</script></body>"
    );
    let copy = page.with_extension("probe.html");
    std::fs::write(&copy, html.replace("</body>", &probe)).unwrap();
    let shown = browser.page_after_scripts(&copy, look);
    // Without it the script has not run.
    let (_, rest) = shown.split_once("<output id=\"measured\">").unwrap();
    let (said, _) = rest.split_once("</output>").unwrap();
    said.split('|').filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_page_on_a_desk_a_phone_and_paper_by_day_and_by_night() {
    let Some(browser) =
        Browser::find("a_browser_shows_the_page_on_a_desk_a_phone_and_paper_by_day_and_by_night")
    else {
        return;
    };
    let store = Store::new().await;
    let page = page(&store).await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, look) in [("desk", DESK), ("dark", DARK), ("phone", PHONE)] {
        let file = folder.join(format!("report-{name}.png"));
        browser.picture(&page, look, &file);
        assert_eq!(png_size(&file), (look.width, look.height));
    }
    let (day, night) =
        (std::fs::read(folder.join("report-desk.png")), std::fs::read(folder.join("report-dark.png")));
    assert_ne!(day.unwrap(), night.unwrap(), "night looks as day does");
    let paper = folder.join("report.pdf");
    browser.paper(&page, &paper);
    assert!(std::fs::read(&paper).unwrap().starts_with(b"%PDF-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_on_the_page_is_wider_than_the_screen_and_no_text_leaves_its_box() {
    let Some(browser) =
        Browser::find("nothing_on_the_page_is_wider_than_the_screen_and_no_text_leaves_its_box")
    else {
        return;
    };
    let store = Store::new().await;
    let page = page(&store).await;
    let width =
        "said.push(String(document.documentElement.scrollWidth - document.documentElement.clientWidth))";
    for look in [DESK, PHONE] {
        assert_eq!(measured(&browser, &page, look, width), ["0"], "the page scrolls sideways at {look:?}");
    }
    let outside = "
        document.querySelectorAll('details').forEach(function (d) { d.open = true; });
        document.querySelectorAll('.picture g').forEach(function (g) {
          var box = g.querySelector('.box, .plate');
          if (box === null) { return; }
          var room = box.getBoundingClientRect();
          g.querySelectorAll('text').forEach(function (text) {
            var own = text.getBoundingClientRect();
            if (own.left + 1 > room.left && room.right + 1 > own.right && own.top + 2 > room.top && room.bottom + 2 > own.bottom) { return; }
            said.push(text.textContent);
          });
        });
        said.push('texts: ' + (document.querySelectorAll('.picture text').length > 10))";
    assert_eq!(measured(&browser, &page, DESK, outside), ["texts: true"], "texts that leave their boxes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_leaves_what_has_all_its_words() {
    let Some(browser) = Browser::find("a_search_leaves_what_has_all_its_words") else { return };
    let store = Store::new().await;
    let page = page(&store).await;
    let search = "
        var field = document.getElementById('search');
        var look = function (words) {
          field.value = words;
          field.dispatchEvent(new Event('input'));
          var rows = document.querySelectorAll('#tables tbody tr:not([hidden]) code');
          said.push(Array.prototype.map.call(rows, function (row) { return row.textContent; }).join(' '));
        };
        look('FILM_part'); look('weird name'); look('no such word anywhere');
        said.push('nothing: ' + !document.getElementById('nothing').hidden);
        look(''); said.push('all: ' + (document.querySelectorAll('[data-find][hidden]').length === 0))";
    let said = measured(&browser, &page, DESK, search);
    let tables = "public.\"Weird \"\"&lt;&amp;Name\" public.film public.film_part public.inventory";
    assert_eq!(
        said,
        ["public.film_part", "public.\"Weird \"\"&lt;&amp;Name\"", "nothing: true", tables, "all: true"]
    );
}
