//! Compressed bytes give an error or no more than the limit, and leave the shared contexts usable.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ottla::wire::compress::{Codec, Compression, compress, decompress};

const LIMIT: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((number, input)) = data.split_first() else { return };
    let Some(codec) = Codec::from_number(number % 5) else { return };
    let mut out = Vec::new();
    if decompress(codec, input, LIMIT, &mut out).is_ok() {
        assert!(out.len() <= LIMIT);
    }
    // The other way round, with contexts that may just have met nonsense.
    let (mut small, mut again) = (Vec::new(), Vec::new());
    compress(Compression::new(codec), input, &mut small).expect("anything can be compressed");
    decompress(codec, &small, input.len(), &mut again).expect("what was compressed comes out");
    assert_eq!(again, input);
});
