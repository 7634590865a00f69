//! What the encoder writes the decoder reads back, and nothing shorter or longer.

use crate::{encode::encode, streams::connection};
use bytes::{BufMut, BytesMut};
use cleave_proto::{
    DecodeProblem,
    pgoutput::{Decoder, ProtocolVersion},
};
use proptest::prelude::*;

proptest! {
    #[test]
    fn every_message_comes_back_as_it_was_written(messages in connection()) {
        let mut decoder = Decoder::new(ProtocolVersion::V4);
        for message in messages {
            prop_assert_eq!(decoder.decode(encode(&message)).unwrap(), message);
        }
    }

    #[test]
    fn a_message_that_is_cut_or_longer_is_an_error(messages in connection(), cut in any::<prop::sample::Index>()) {
        let mut decoder = Decoder::new(ProtocolVersion::V4);
        for message in messages {
            let bytes = encode(&message);
            let short = bytes.slice(..cut.index(bytes.len()));
            prop_assert!(decoder.clone().decode(short).is_err());
            let mut long = BytesMut::from(&bytes[..]);
            long.put_u8(0);
            let error = decoder.clone().decode(long.freeze()).unwrap_err();
            prop_assert_eq!(error.problem, DecodeProblem::Trailing { left: 1 });
            decoder.decode(bytes).unwrap();
        }
    }
}
