use super::fixture::{catalog, town, view};
use super::*;
use cleave_model::QualifiedName;
use cleave_model::catalog::{Partition, TableKind};
use roxmltree::{Document, Node};

const HOSTILE: &str = "Weird \"<&Name' ]]> --> </text><script>alert(1)</script> \\n \u{1}\u{7f}\n\u{5bb6}";

fn name(table: &str) -> QualifiedName {
    QualifiedName::new("public", table)
}

fn number(node: Node<'_, '_>, attribute: &str) -> f64 {
    node.attribute(attribute).unwrap().parse().unwrap()
}

fn has_class(node: Node<'_, '_>, class: &str) -> bool {
    node.attribute("class").is_some_and(|classes| classes.split(' ').any(|own| own == class))
}

/// Boxes and labels' plates.
fn areas(document: &Document<'_>) -> Vec<[f64; 4]> {
    let drawn = |node: &Node<'_, '_>| ["box", "plate"].iter().any(|class| has_class(*node, class));
    document
        .descendants()
        .filter(drawn)
        .map(|node| ["x", "y", "width", "height"].map(|attribute| number(node, attribute)))
        .collect()
}

fn check_legible(svg: &str) {
    let document = Document::parse(svg).unwrap();
    let areas = areas(&document);
    for (at, a) in areas.iter().enumerate() {
        for b in &areas[..at] {
            let along =
                |axis: usize| a[axis] + 0.2 < b[axis] + b[axis + 2] && b[axis] + 0.2 < a[axis] + a[axis + 2];
            assert!(!(along(0) && along(1)), "{a:?} lies on {b:?}");
        }
    }
    let frame: Vec<f64> = document
        .root_element()
        .attribute("viewBox")
        .unwrap()
        .split(' ')
        .map(|n| n.parse().unwrap())
        .collect();
    for area in &areas {
        assert!(area[0] >= frame[0] && area[0] + area[2] <= frame[0] + frame[2], "{area:?} leaves {frame:?}");
        assert!(area[1] >= frame[1] && area[1] + area[3] <= frame[1] + frame[3], "{area:?} leaves {frame:?}");
    }
    for child in ["title", "desc"] {
        let node = document.root_element().children().find(|node| node.has_tag_name(child)).unwrap();
        assert!(!node.text().unwrap().is_empty());
        let named = document.root_element().attribute("aria-labelledby").unwrap();
        assert!(named.split(' ').any(|id| Some(id) == node.attribute("id")));
    }
}

fn by_service(count: usize, services: usize) -> Survey {
    let town = town(count);
    let each = count.div_ceil(services);
    let lists: Vec<(String, Vec<QualifiedName>)> = town
        .chunks(each)
        .enumerate()
        .map(|(at, tables)| (format!("service_{at}"), tables.iter().map(|(name, _)| name.clone()).collect()))
        .collect();
    Survey::new(&catalog(&town), &lists)
}

#[test]
fn pictures_of_few_and_of_a_thousand_tables_are_legible() {
    for survey in [by_service(15, 4), by_service(1000, 30), Survey::new(&catalog(&town(1000)), &[])] {
        check_legible(&overview(&survey, Style::File));
        for group in [0, survey.groups.len() - 1] {
            check_legible(&tables(&survey, group, Style::File));
        }
    }
    let one_service = by_service(1000, 1);
    check_legible(&overview(&one_service, Style::File));
    check_legible(&tables(&one_service, 0, Style::File));
}

#[test]
fn the_same_catalog_gives_the_same_picture() {
    let draw = || overview(&Survey::new(&catalog(&town(300)), &[]), Style::File);
    assert_eq!(draw(), draw());
}

#[test]
fn every_table_stands_in_one_group_and_a_group_fits_one_drawing() {
    let survey = Survey::new(&catalog(&town(1000)), &[]);
    let mut placed: Vec<usize> = survey.groups.iter().flat_map(|group| group.tables.clone()).collect();
    placed.sort_unstable();
    assert_eq!(placed, (0..1000).collect::<Vec<_>>());
    assert!(survey.groups.iter().all(|group| (1..=PAGE_TABLES).contains(&group.tables.len())));
    assert!(survey.groups.len() < 60, "{} groups are no overview", survey.groups.len());
    for (at, group) in survey.groups.iter().enumerate() {
        assert!(survey.group(&group.name) == Some(at), "{} is no name of its own", group.name);
    }
}

#[test]
fn keys_and_views_that_cross_are_counted_by_pair_of_services() {
    let mut catalog = catalog(&[
        (name("film"), vec![]),
        (name("actor"), vec![0]),
        (name("rental"), vec![0, 0]),
        (name("payment"), vec![2]),
    ]);
    catalog.views.push(view(name("sales_by_film"), &[0, 3]));
    let services =
        [("films".to_owned(), vec![name("film"), name("actor")]), ("sales".to_owned(), vec![name("rental")])];
    let survey = Survey::new(&catalog, &services);
    let ties: Vec<(String, String, String)> = survey
        .ties()
        .iter()
        .map(|tie| (survey.groups[tie.from].name.clone(), survey.groups[tie.to].name.clone(), tie.phrase()))
        .collect();
    let expected =
        [("sales", "films", "2 keys"), ("films", "no service", "1 view"), ("no service", "sales", "1 key")];
    let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(ties, expected);
    let svg = overview(&survey, Style::File);
    for word in ["films", "sales", "no service", "2 keys", "1 view", "2 tables"] {
        assert!(svg.contains(word), "{word}");
    }
}

#[test]
fn partitions_stand_for_a_number_at_their_root() {
    let mut catalog = catalog(&[
        (name("customer"), vec![]),
        (name("payment"), vec![0]),
        (name("payment_01"), vec![0]),
        (name("payment_02"), vec![0]),
    ]);
    catalog.tables[1].kind = TableKind::Partitioned("RANGE (at)".to_owned());
    for at in [2, 3] {
        catalog.tables[at].partition_of =
            Some(Partition { parent: name("payment"), bound: "DEFAULT".to_owned() });
    }
    let survey = Survey::new(&catalog, &[]);
    assert_eq!(survey.tables.len(), 2);
    assert_eq!((survey.tables[1].partitions, survey.keys.len()), (2, 1));
    assert!(tables(&survey, 0, Style::File).contains("2 partitions"));
}

#[test]
fn a_hostile_name_is_text_and_nothing_else() {
    let hostile = QualifiedName::new(HOSTILE, HOSTILE);
    let catalog = catalog(&[(hostile.clone(), vec![0]), (name("plain"), vec![0])]);
    let survey = Survey::new(&catalog, &[(HOSTILE.to_owned(), vec![hostile])]);
    for svg in
        [overview(&survey, Style::File), tables(&survey, 0, Style::File), tables(&survey, 1, Style::File)]
    {
        let document = Document::parse(&svg).unwrap();
        assert!(!document.descendants().any(|node| node.has_tag_name("script")));
        let texts: String = document.descendants().filter_map(|node| node.text()).collect();
        assert!(texts.contains("Weird \"") && texts.contains("<&Name'"), "{texts}");
    }
    for text in [dot(&survey), dot_of(&survey, 0), dot_of(&survey, 1)] {
        let graph = dot_grammar::read(&text);
        assert!(graph.edges > 0 && graph.nodes.iter().any(|node| node.contains("<script>")), "{graph:?}");
    }
}

#[test]
fn dot_names_every_service_table_and_key() {
    let survey = by_service(60, 4);
    let graph = dot_grammar::read(&dot(&survey));
    assert_eq!(graph.nodes.len(), 4);
    assert_eq!(graph.edges, survey.ties().len());
    let graph = dot_grammar::read(&dot_of(&survey, 1));
    assert!(
        survey.groups[1]
            .tables
            .iter()
            .all(|&table| graph.nodes.contains(&survey.tables[table].name.to_string()))
    );
    let touching =
        survey.keys.iter().filter(|key| [key.from, key.to].iter().any(|&end| survey.tables[end].group == 1));
    assert_eq!(graph.edges, touching.count());
}

#[test]
fn inline_drawings_share_a_page_without_sharing_names() {
    let survey = by_service(15, 2);
    let drawings = [overview(&survey, Style::Inline(1)), tables(&survey, 0, Style::Inline(2))];
    let mut ids = Vec::new();
    for svg in &drawings {
        let document = Document::parse(svg).unwrap();
        assert!(
            !document.descendants().any(|node| node.has_tag_name("style")),
            "the page brings the colours"
        );
        ids.extend(document.descendants().filter_map(|node| node.attribute("id").map(str::to_owned)));
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

/// The grammar of DOT as far as a reader needs it to be sure that a file is one: statements of nodes, edges, attributes
/// and subgraphs, made of quoted strings and plain words.
mod dot_grammar {
    use std::collections::BTreeSet;

    #[derive(Debug, Default)]
    pub(super) struct Graph {
        pub(super) nodes: BTreeSet<String>,
        pub(super) edges: usize,
    }

    #[derive(Clone, Debug, PartialEq)]
    enum Token {
        Word(String),
        Text(String),
        Sign(String),
    }

    pub(super) fn read(text: &str) -> Graph {
        let tokens = tokens(text);
        let mut reader = Reader { tokens: &tokens, at: 0, graph: Graph::default() };
        reader.word("digraph");
        reader.id();
        reader.block();
        assert_eq!(reader.at, tokens.len(), "something follows the graph");
        reader.graph
    }

    fn tokens(text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(first) = rest.next() {
            if first.is_whitespace() {
                continue;
            }
            if first == '"' {
                let mut value = String::new();
                loop {
                    match rest.next().expect("a string ends") {
                        '"' => break,
                        '\\' => match rest.next().expect("something follows a backslash") {
                            escaped @ ('"' | '\\') => value.push(escaped),
                            'n' => value.push('\n'),
                            other => panic!("an escape \\{other}"),
                        },
                        other => value.push(other),
                    }
                }
                tokens.push(Token::Text(value));
            } else if first.is_ascii_alphanumeric() || first == '_' {
                let mut word = first.to_string();
                while let Some(next) = rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '.') {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            } else if first == '-' {
                assert_eq!(rest.next(), Some('>'));
                tokens.push(Token::Sign("->".to_owned()));
            } else {
                assert!("{}[]=,;".contains(first), "{first:?} outside of a string");
                tokens.push(Token::Sign(first.to_string()));
            }
        }
        tokens
    }

    struct Reader<'t> {
        tokens: &'t [Token],
        at: usize,
        graph: Graph,
    }

    impl Reader<'_> {
        fn next(&mut self) -> Token {
            self.at += 1;
            self.tokens[self.at - 1].clone()
        }

        fn id(&mut self) -> String {
            match self.next() {
                Token::Word(text) | Token::Text(text) => text,
                sign => panic!("{sign:?} where a name stands"),
            }
        }

        fn word(&mut self, expected: &str) {
            assert_eq!(self.next(), Token::Word(expected.to_owned()));
        }

        fn sign(&mut self, expected: &str) {
            assert_eq!(self.next(), Token::Sign(expected.to_owned()), "at {}", self.at);
        }

        fn is_sign(&mut self, expected: &str) -> bool {
            let found = self.tokens[self.at] == Token::Sign(expected.to_owned());
            self.at += usize::from(found);
            found
        }

        fn block(&mut self) {
            self.sign("{");
            while !self.is_sign("}") {
                self.statement();
            }
        }

        fn statement(&mut self) {
            let is_word = matches!(self.tokens[self.at], Token::Word(_));
            let first = self.id();
            if is_word && first == "subgraph" {
                self.id();
                return self.block();
            }
            if is_word && self.is_sign("=") {
                self.id();
            } else if self.is_sign("->") {
                let to = self.id();
                self.graph.nodes.extend([first, to]);
                self.graph.edges += 1;
                self.attributes();
            } else {
                if !is_word {
                    self.graph.nodes.insert(first);
                }
                self.attributes();
            }
            self.sign(";");
        }

        fn attributes(&mut self) {
            if !self.is_sign("[") {
                return;
            }
            loop {
                self.id();
                self.sign("=");
                self.id();
                if self.is_sign("]") {
                    return;
                }
                self.sign(",");
            }
        }
    }
}
