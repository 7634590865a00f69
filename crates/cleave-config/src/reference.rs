//! The reference page of `cleave.toml`, made from the key table.

use crate::keys::{Choice, Key, Kind, Presence, SECTIONS, Section};
use std::borrow::Cow;
use std::fmt::Write as _;

const HEAD: &str = "\
<!-- Made from crates/cleave-config/src/keys.rs. To renew it: UPDATE=1 cargo test -p cleave-config reference -->
# cleave.toml

The file says what is wanted: which databases there are, which service owns which tables and where they shall live.
`cleave config check` reads it without connecting anywhere; `cleave config schema` prints its JSON Schema for editors.

```toml
[databases]
monolith = { url = \"env:MONOLITH_URL\" }
products = { url = \"env:PRODUCTS_URL\" }

[services.films]
home   = \"products/films\"
tables = [\"public.film\", \"public.film_*\", \"public.language\"]
owner  = \"films_svc\"
copies = [\"monolith/films_copy\"]
bridge = \"forward\"

[limits]
write_pause = \"500ms\"
```

Durations are a whole number and `ms`, `s`, `min`, `h` or `d`. Sizes are a whole number and `kB`, `MB`, `GB` or `TB`, in
steps of 1024. Names of schemas, tables and roles are written as the catalogs have them; double quotes are needed only
around a name with a dot, a quote, a space or a star: `public.\"odd.name\"`.
";

/// The page in Markdown; `docs/reference/config.md` is this text.
pub fn reference_page() -> String {
    let mut page = HEAD.to_owned();
    for section in SECTIONS {
        write_section(section, &mut page);
    }
    page
}

fn write_section(section: &Section, page: &mut String) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "\n## `{}`\n\n{}", section.header(), section.doc);
    if !section.available {
        page.push_str("\nNot available in this version: `cleave config check` says so (C0009).\n");
    }
    page.push_str("\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
    for key in section.keys {
        let default = match key.presence {
            Presence::Required => "required".to_owned(),
            Presence::Optional => String::new(),
            Presence::Default(default) => format!("`{default}`"),
        };
        let _ = writeln!(page, "| `{}` | {} | {default} | {} |", key.name, kind(&key.kind), key.doc);
    }
    for key in section.keys {
        write_choices(key, page);
    }
}

fn write_choices(key: &Key, page: &mut String) {
    let (Kind::Choice(choices) | Kind::ChoiceOrService(choices)) = &key.kind else { return };
    let _ = writeln!(page, "\n`{}`:\n", key.name);
    for Choice { value, doc } in *choices {
        let _ = writeln!(page, "- `{value}`: {doc}");
    }
}

fn kind(kind: &Kind) -> Cow<'static, str> {
    let text = match kind {
        Kind::Url => "connection string, `env:`, `file:` or `cmd:`",
        Kind::UrlMap => "table of database = connection string",
        Kind::Database => "a name of `[databases]`",
        Kind::Home => "`database/schema`",
        Kind::Homes => "array of `database/schema`",
        Kind::Patterns => "array of table names or patterns",
        Kind::Table => "table name",
        Kind::Role => "role name",
        Kind::Choice(_) => "one of the words below",
        Kind::ChoiceOrService(_) => "one of the words below, or a service",
        Kind::IdentityMap => "table of table name = identity",
        Kind::Name => "name",
        Kind::NameMap => "table of old name = new name",
        Kind::Folder => "folder",
        Kind::Duration => "duration",
        Kind::Size => "size",
        Kind::Count { min, max } => return format!("whole number, {min} to {max}").into(),
        Kind::Commands => "array of shell commands",
        Kind::Pooler => "`{ admin, databases, config }`",
        Kind::Listen => "`ADDRESS:PORT` or `off`",
        Kind::SplitTargets => "array of `{ service, reached_by }`",
    };
    text.into()
}
