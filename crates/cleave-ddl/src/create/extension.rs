//! Extensions: never created here, only found. Where they stand decides how their names are read.

use crate::carry::{Carried, Unsupported};
use cleave_model::Ident;
use cleave_model::catalog::Extension;

/// The value for [`Target::extra_path`](super::Target::extra_path).
///
/// # Errors
/// Every extension that the target lacks, or has in another schema although definitions name the source's one.
pub fn extension_path(
    carried: &Carried<'_>,
    source_schema: &Ident,
    source: &[Extension],
    target: &[Extension],
) -> Result<Vec<Ident>, Vec<Unsupported>> {
    let (mut path, mut found) = (Vec::new(), Vec::new());
    for name in &carried.extensions {
        let mut no = |reason: String| {
            found.push(Unsupported { object: format!("extension {name}"), reason });
        };
        let schema =
            |extensions: &[Extension]| extensions.iter().find(|e| e.name == *name).map(|e| e.schema.clone());
        match (schema(source), schema(target)) {
            (_, None) => no("is not installed at the target".to_owned()),
            (Some(here), Some(there)) if here == *source_schema => path.push(there),
            (Some(here), Some(there)) if here != there => {
                no(format!("stands in schema {here} at the source and in {there} at the target"));
            }
            _ => {}
        }
    }
    path.sort();
    path.dedup();
    if found.is_empty() { Ok(path) } else { Err(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_beside_the_tables_is_looked_up_and_one_elsewhere_must_be_there_too() {
        let carried = Carried { extensions: ["citext".into(), "hstore".into()].into(), ..Carried::default() };
        let at = |name: &str, schema: &str| Extension {
            name: name.into(),
            version: "1".into(),
            schema: schema.into(),
        };
        let source = [at("citext", "public"), at("hstore", "ext")];
        let public = Ident::new("public");
        let path = |target: &[Extension]| extension_path(&carried, &public, &source, target);
        assert_eq!(path(&[at("citext", "tools"), at("hstore", "ext")]), Ok(vec!["tools".into()]));
        let found = path(&[at("hstore", "other")]).unwrap_err();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "extension citext is not installed at the target",
                "extension hstore stands in schema ext at the source and in other at the target",
            ]
        );
    }
}
