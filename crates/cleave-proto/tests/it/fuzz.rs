//! Runs the fuzz bodies on stable: over the corpus, over mutations of it, and over noise. None may panic, hang, or
//! allocate more than the input's size times a constant.

use crate::{
    allocations::allocated_bytes,
    bodies::{fuzz_copy_binary, fuzz_copy_text, fuzz_pgoutput, fuzz_replication, messages, version},
    encode::encode,
    streams::connection,
};
use bytes::Bytes;
use cleave_proto::{pgoutput::Decoder, transaction::TransactionTracker};
use proptest::{collection::vec, prelude::*};
use std::{fs, path::PathBuf};

/// The dearest input is a tuple of one-byte cells: one byte of input for a cell of some 40, twice over.
const BYTES_ALLOCATED_PER_BYTE: usize = 512;
const BYTES_ALLOCATED_ANYWAY: usize = 16 * 1024;

struct Target {
    name: &'static str,
    body: fn(&[u8]),
}

const TARGETS: [Target; 4] = [
    Target { name: "pgoutput", body: fuzz_pgoutput },
    Target { name: "replication", body: fuzz_replication },
    Target { name: "copy_binary", body: fuzz_copy_binary },
    Target { name: "copy_text", body: fuzz_copy_text },
];

fn run(target: &Target, input: &[u8]) {
    let allocated = allocated_bytes(|| (target.body)(input));
    let allowed = BYTES_ALLOCATED_ANYWAY + BYTES_ALLOCATED_PER_BYTE * input.len();
    assert!(allocated <= allowed, "{}: {allocated} bytes for an input of {}", target.name, input.len());
}

/// The corpus of a target: a text file per input, hex digits with line breaks and `#` comments.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target.name);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // cargo-fuzz adds what it finds to the same folder, as bare bytes.
    files.retain(|file| file.extension().is_some_and(|extension| extension == "hex"));
    files.sort();
    assert!(!files.is_empty(), "{} has no corpus", target.name);
    files.iter().map(|file| unhex(&fs::read_to_string(file).unwrap())).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let digits: Vec<u8> = lines.flat_map(str::bytes).filter(|byte| !byte.is_ascii_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "half a byte");
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// What a fuzzer does to an input.
fn mutate(input: &mut Vec<u8>, mutations: &[(u8, u32, u8)]) {
    for &(kind, place, byte) in mutations {
        if input.is_empty() {
            input.push(byte);
            continue;
        }
        let at = place as usize % input.len();
        match kind % 6 {
            0 => input[at] = byte,
            1 => input[at] ^= 1 << (byte % 8),
            2 => input.insert(at, byte),
            3 => drop(input.remove(at)),
            4 => input.truncate(at),
            _ => {
                let end = input.len().min(at + usize::from(byte));
                let piece = input[at..end].to_vec();
                input.extend(piece);
            }
        }
    }
}

#[test]
fn the_corpus_is_read_without_harm() {
    for target in &TARGETS {
        for input in corpus(target) {
            run(target, &input);
            (0..input.len()).for_each(|length| run(target, &input[..length]));
        }
    }
}

#[test]
fn the_corpus_of_conversations_is_sound_to_its_end() {
    for input in corpus(&TARGETS[0]) {
        let (mut decoder, mut tracker) = (Decoder::new(version(input[0])), TransactionTracker::new());
        for message in messages(Bytes::from(input).slice(1..)) {
            tracker.step(decoder.decode(message).unwrap()).unwrap();
        }
        assert!(tracker.is_between_transactions());
    }
}

#[test]
fn the_longest_tuple_costs_no_more_than_its_size() {
    let mut input = vec![0, 0xff, 0xff];
    input.extend_from_slice(&[b'I', 0, 0, 0, 1, b'N', 0xff, 0xf0]);
    input.resize(3 + 65_535, b'n');
    run(&TARGETS[0], &input);
}

fn mutations() -> impl Strategy<Value = Vec<(u8, u32, u8)>> {
    vec(any::<(u8, u32, u8)>(), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn mutated_corpus_is_read_without_harm(which in any::<prop::sample::Index>(), mutations in mutations()) {
        for target in &TARGETS {
            let corpus = corpus(target);
            let mut input = which.get(&corpus).clone();
            mutate(&mut input, &mutations);
            run(target, &input);
        }
    }

    #[test]
    fn noise_is_read_without_harm(input in vec(any::<u8>(), 0..300)) {
        TARGETS.iter().for_each(|target| run(target, &input));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn mutated_messages_are_read_without_harm(messages in connection(), mutations in mutations()) {
        let mut input = vec![2];
        for message in messages {
            let bytes = encode(&message);
            input.extend_from_slice(&u16::try_from(bytes.len()).unwrap().to_be_bytes());
            input.extend_from_slice(&bytes);
        }
        run(&TARGETS[0], &input);
        mutate(&mut input, &mutations);
        run(&TARGETS[0], &input);
    }
}
