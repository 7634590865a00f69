//! Small pieces of SQL.

use cleave_model::{Ident, quote_ident, quote_literal};

/// `"a", "b"`.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a Ident>) -> String {
    names.into_iter().map(Ident::quoted).collect::<Vec<_>>().join(", ")
}

/// A body between dollar quotes that do not stand in it.
pub(crate) fn dollar(body: &str) -> String {
    let mut tag = "$cleave$".to_owned();
    while body.contains(&tag) {
        tag.insert(tag.len() - 1, '_');
    }
    format!("{tag}{body}{tag}")
}

/// `name=value` options as SQL: `"fillfactor" = '70'`; a `toast.` in front is a namespace.
pub(crate) fn options<'a>(options: impl IntoIterator<Item = &'a String>) -> String {
    let option = |option: &String| {
        let (name, value) = option.split_once('=').unwrap_or((option, "true"));
        let name = match name.split_once('.') {
            Some((namespace, name)) => format!("{}.{}", quote_ident(namespace), quote_ident(name)),
            None => quote_ident(name),
        };
        format!("{name} = {}", quote_literal(value))
    };
    options.into_iter().map(option).collect::<Vec<_>>().join(", ")
}

/// Splits `"Some ""schema""".rest` or `schema.rest` into the schema's bare name and the rest, if there is a dot.
pub(crate) fn split_schema(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))?;
        return text[end..].strip_prefix('.').map(|rest| (text[..end].to_owned(), rest));
    };
    let mut name = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            name.push(c);
            continue;
        }
        let rest = &quoted[at + 1..];
        if rest.starts_with('"') {
            name.push('"');
            chars.next();
        } else {
            return rest.strip_prefix('.').map(|rest| (name, rest));
        }
    }
    None
}

/// True if the text names something of the schema: `schema.` where a name can begin.
pub(crate) fn names_schema(text: &str, schema: &Ident) -> bool {
    [schema.as_str().to_owned(), schema.quoted()].iter().any(|name| {
        let needle = format!("{name}.");
        text.match_indices(&needle).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | '"'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_split_off_whether_quoted_or_not() {
        assert_eq!(split_schema("public.f(a)"), Some(("public".into(), "f(a)")));
        assert_eq!(split_schema(r#""a ""b"".c".f(a)"#), Some((r#"a "b".c"#.into(), "f(a)")));
        assert_eq!(split_schema("f(a.b)"), None);
        assert_eq!(split_schema(r#""open"#), None);
    }

    #[test]
    fn a_body_that_names_a_schema_is_told_from_one_that_only_looks_like_it() {
        let public = Ident::new("public");
        assert!(names_schema("select * from public.film", &public));
        assert!(names_schema(r#"select * from "public".film"#, &public));
        for other in ["select republic.x", "select a.public.x", "select public, x", "public"] {
            assert!(!names_schema(other, &public), "{other}");
        }
    }

    #[test]
    fn a_body_cannot_end_its_own_quotes() {
        assert_eq!(dollar("a $cleave$ b"), "$cleave_$a $cleave$ b$cleave_$");
    }

    #[test]
    fn options_keep_their_namespace() {
        let given = ["fillfactor=70".to_owned(), "toast.autovacuum_enabled=off".to_owned()];
        assert_eq!(options(&given), r#""fillfactor" = '70', "toast"."autovacuum_enabled" = 'off'"#);
    }
}
