//! Names of tables as the output plugin `test_decoding` writes them.

use cleave_model::{Ident, QualifiedName};

/// The tables of a list `public.film, "My Schema"."My Table"`; one, but for TRUNCATE. What is no qualified name is left
/// out.
pub fn table_names(list: &str) -> Vec<QualifiedName> {
    let mut names = Vec::new();
    let mut parts: Vec<String> = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let (part, after) = one_part(rest);
        parts.push(part);
        rest = if let Some(after) = after.strip_prefix('.') {
            after
        } else {
            names.extend(qualified(&mut parts));
            after.trim_start_matches(|c: char| c == ',' || c.is_whitespace())
        };
    }
    names.extend(qualified(&mut parts));
    names
}

fn qualified(parts: &mut Vec<String>) -> Option<QualifiedName> {
    match std::mem::take(parts).as_slice() {
        [schema, name] => Some(QualifiedName::new(Ident::new(schema), Ident::new(name))),
        _ => None,
    }
}

fn one_part(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(['.', ',']).unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let mut name = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            name.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == '"') {
            name.push('"');
            chars.next();
        } else {
            return (name, &quoted[at + 1..]);
        }
    }
    (name, "")
}

#[cfg(test)]
mod tests {
    use super::table_names;

    #[test]
    fn names_are_read_with_their_quotes_also_several_in_a_row() {
        let shown = |list| table_names(list).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown("public.film"), ["public.film"]);
        assert_eq!(shown("public.a, \"My, \"\"S\".\"T.x\""), ["public.a", "\"My, \"\"S\".\"T.x\""]);
        assert_eq!(shown("nonsense"), Vec::<String>::new());
        assert_eq!(shown(""), Vec::<String>::new());
    }
}
