//! The JSON Schema of `cleave.toml`, for editors.

use crate::keys::{Choice, Key, Kind, Presence, SECTIONS, Section};
use serde_json::{Map, Value, json};

/// Draft 2020-12, made from the key table. Editors that check TOML by JSON Schema read it.
pub fn schema() -> Value {
    let properties: Map<String, Value> =
        SECTIONS.iter().map(|section| (section.name.to_owned(), section_schema(section))).collect();
    let required: Vec<&str> = SECTIONS.iter().filter(|section| section.required).map(|s| s.name).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cleave.toml",
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    })
}

const NAME: &str = "^[a-z][a-z0-9_]{0,23}$";
const DURATION: &str = "^[0-9]+ ?(ms|s|min|h|d)$";
const LISTEN: &str = "^(off|.+:[0-9]{1,5})$";
const SIZE: &str = "^[0-9]+ ?(kB|MB|GB|TB)$";
const HOME: &str = "^[a-z][a-z0-9_]{0,23}/[^/]+$";

fn section_schema(section: &Section) -> Value {
    let keys: Map<String, Value> =
        section.keys.iter().map(|key| (key.name.to_owned(), key_schema(key))).collect();
    let required: Vec<&str> = section
        .keys
        .iter()
        .filter(|key| matches!(key.presence, Presence::Required))
        .map(|key| key.name)
        .collect();
    let mut table = json!({ "type": "object", "additionalProperties": false, "properties": keys });
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    let doc = described(section.doc, section.available);
    if section.named {
        json!({
            "type": "object",
            "description": doc,
            "propertyNames": { "pattern": NAME },
            "additionalProperties": table,
        })
    } else {
        table["description"] = json!(doc);
        table
    }
}

fn key_schema(key: &Key) -> Value {
    let mut schema = kind_schema(&key.kind);
    schema["description"] = json!(key.doc);
    if let Presence::Default(default) = key.presence {
        schema["default"] = serde_json::from_str(default).unwrap_or_else(|_| json!(default));
    }
    schema
}

fn kind_schema(kind: &Kind) -> Value {
    let text = || json!({ "type": "string" });
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    let matching = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    match kind {
        Kind::Url | Kind::Table | Kind::Role | Kind::Folder => text(),
        Kind::UrlMap => {
            json!({ "type": "object", "propertyNames": { "pattern": NAME }, "additionalProperties": text() })
        }
        Kind::Database | Kind::Name => matching(NAME),
        Kind::NameMap => json!({ "type": "object", "additionalProperties": text() }),
        Kind::Home => matching(HOME),
        Kind::Homes => json!({ "type": "array", "items": matching(HOME) }),
        Kind::Patterns => json!({ "type": "array", "items": text(), "minItems": 1 }),
        Kind::Choice(choices) => {
            json!({ "oneOf": choices.iter().map(choice_schema).collect::<Vec<_>>() })
        }
        Kind::ChoiceOrService(choices) => {
            let mut all: Vec<Value> = choices.iter().map(choice_schema).collect();
            all.push(matching(NAME));
            json!({ "anyOf": all })
        }
        Kind::IdentityMap => {
            json!({ "type": "object", "additionalProperties": matching("^(full|index:.+)$") })
        }
        Kind::Duration => matching(DURATION),
        Kind::Size => matching(SIZE),
        Kind::Count { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Commands => texts(),
        Kind::Pooler => json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["admin", "databases", "config"],
            "properties": {
                "admin": text(),
                "databases": { "type": "array", "items": text(), "minItems": 1 },
                "config": text(),
            },
        }),
        Kind::Listen => matching(LISTEN),
        Kind::SplitTargets => json!({
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["service", "reached_by"],
                "properties": { "service": matching(NAME), "reached_by": texts() },
            },
        }),
    }
}

fn choice_schema(choice: &Choice) -> Value {
    json!({ "const": choice.value, "description": choice.doc })
}

fn described(doc: &str, available: bool) -> String {
    if available { doc.to_owned() } else { format!("{doc} Not available in this version.") }
}
