//! The oracle's judgement, without servers. One `check` for all cases.

use super::*;

const HOME: usize = 0;
const MONOLITH: usize = 1;
const COPY: usize = 2;

/// Judges transaction 1 of the given kind: how it ended, and the places that hold it, with repetitions.
fn check(ended: &str, kind: Kind, held: &[usize], expected: &[Fault]) {
    let token = Token::from_value((1 << 40) + 1);
    let mut record = Record::default();
    match ended {
        "acknowledged" => record.acknowledged.push((token, kind)),
        "unknown" => record.unknown.push((token, kind)),
        _ => record.refused.push(token),
    }
    let mut places = [Held::new(), Held::new(), Held::new()];
    held.iter().for_each(|place| *places[*place].entry(token).or_default() += 1);
    let oracle = Oracle::new()
        .place("home", "", "")
        .place("monolith", "", "")
        .place("copy", "", "")
        .home(Kind::SINGLE, &["home"])
        .home(Kind::PAIR, &["home", "monolith"]);
    let verdict = oracle.judge(&[&record], &places).unwrap();
    let faults: Vec<Fault> = verdict.findings.iter().map(|finding| finding.fault).collect();
    assert_eq!(faults, expected, "{ended} {kind} held by {held:?}");
    assert_eq!(verdict.is_clean(), expected.is_empty());
    assert_eq!(verdict.found, u64::from(ended == "acknowledged" && !expected.contains(&Fault::Lost)));
}

#[test]
fn an_acknowledged_token_must_be_at_its_home_exactly_once() {
    check("acknowledged", Kind::SINGLE, &[HOME], &[]);
    check("acknowledged", Kind::SINGLE, &[HOME, COPY], &[]);
    check("acknowledged", Kind::SINGLE, &[], &[Fault::Lost]);
    check("acknowledged", Kind::SINGLE, &[COPY], &[Fault::Lost]);
    check("acknowledged", Kind::SINGLE, &[HOME, HOME], &[Fault::Duplicated]);
    check("acknowledged", Kind::SINGLE, &[HOME, COPY, COPY], &[Fault::Duplicated]);
    check("acknowledged", Kind::SINGLE, &[COPY, COPY], &[Fault::Lost, Fault::Duplicated]);
}

#[test]
fn an_acknowledged_pair_must_be_on_both_sides() {
    check("acknowledged", Kind::PAIR, &[HOME, MONOLITH], &[]);
    check("acknowledged", Kind::PAIR, &[HOME], &[Fault::Lost]);
    check("acknowledged", Kind::PAIR, &[MONOLITH, COPY], &[Fault::Lost]);
}

#[test]
fn a_refused_token_must_be_nowhere() {
    check("refused", Kind::SINGLE, &[], &[]);
    check("refused", Kind::SINGLE, &[HOME], &[Fault::Risen]);
    check("refused", Kind::PAIR, &[COPY], &[Fault::Risen]);
}

#[test]
fn an_unknown_token_may_be_there_but_not_twice_nor_by_halves() {
    check("unknown", Kind::SINGLE, &[], &[]);
    check("unknown", Kind::SINGLE, &[HOME], &[]);
    check("unknown", Kind::SINGLE, &[HOME, HOME], &[Fault::Duplicated]);
    check("unknown", Kind::SINGLE, &[COPY], &[Fault::Torn]);
    check("unknown", Kind::PAIR, &[HOME, MONOLITH, COPY], &[]);
    check("unknown", Kind::PAIR, &[MONOLITH], &[Fault::Torn]);
}

#[test]
fn a_kind_without_a_home_is_a_mistake() {
    let mut record = Record::default();
    record.acknowledged.push((Token::from_value(1), Kind::new("forgotten")));
    let error = Oracle::new().judge(&[&record], &[]).unwrap_err();
    assert_eq!(error.to_string(), "the oracle was not told where tokens of kind `forgotten` must be");
}
