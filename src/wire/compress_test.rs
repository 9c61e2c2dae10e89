//! Codecs: round trips, limits, and input that nobody meant well.

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 16 << 20;

fn packed(compression: Compression, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(compression, input, &mut out).unwrap();
    out
}

fn unpacked(codec: Codec, input: &[u8], limit: usize) -> Result<Vec<u8>, CompressError> {
    let mut out = Vec::new();
    decompress(codec, input, limit, &mut out).map(|()| out)
}

fn texty() -> impl Strategy<Value = Vec<u8>> {
    // Runs, so that there is something to find, and lengths around the block sizes.
    proptest::collection::vec((any::<u8>(), 1usize..9000), 0..60).prop_map(|runs| {
        runs.into_iter().flat_map(|(byte, count)| std::iter::repeat_n(byte, count)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_compressed_comes_out_again(input in texty(), noise in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let input = [input, noise].concat();
        for codec in Codec::ALL {
            let small = packed(Compression::new(codec), &input);
            prop_assert_eq!(unpacked(codec, &small, input.len()).unwrap(), input.clone(), "{:?}", codec);
            if !input.is_empty() {
                let limit = input.len() - 1;
                prop_assert_eq!(unpacked(codec, &small, limit), Err(CompressError::TooLarge { limit }));
            }
        }
    }

    #[test]
    fn mutilated_input_never_panics(input in texty(), cut: usize, at: usize, to: u8) {
        for codec in Codec::ALL {
            let mut small = packed(Compression::new(codec), &input);
            small.truncate(cut % (small.len() + 1));
            if !small.is_empty() {
                let at = at % small.len();
                small[at] = to;
            }
            if let Ok(out) = unpacked(codec, &small, 100_000) {
                assert!(out.len() <= 100_000);
            }
        }
    }

    #[test]
    fn noise_never_panics(input in proptest::collection::vec(any::<u8>(), 0..300)) {
        for codec in Codec::ALL {
            let _ = unpacked(codec, &input, 10_000);
        }
    }

    #[test]
    fn xxh32_is_that_of_lz4(input in proptest::collection::vec(any::<u8>(), 0..100)) {
        use std::io::Write as _;
        // The frame of the lz4 crate carries a content checksum at its end.
        let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
        let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&input).unwrap();
        let frame = encoder.finish().unwrap();
        prop_assert_eq!(&frame[frame.len() - 4..], &xxh32(&input).to_le_bytes());
    }
}

#[test]
fn every_level_that_kafka_takes_works() {
    let input = b"to be or not to be, that is the question ".repeat(100);
    let levels = [(Codec::Gzip, -1, 9), (Codec::Lz4, 1, 17), (Codec::Zstd, -131_072, 22)];
    for (codec, low, high) in levels {
        for level in [low, 1, 5, high] {
            let compression = Compression::with_level(codec, level).unwrap();
            let small = packed(compression, &input);
            assert!(level < 0 || small.len() < input.len() / 4, "{codec:?} {level}");
            assert_eq!(unpacked(codec, &small, LIMIT).unwrap(), input);
        }
        assert_eq!(Compression::with_level(codec, low - 1), None);
        assert_eq!(Compression::with_level(codec, high + 1), None);
    }
    assert_eq!(Compression::with_level(Codec::Gzip, 0), None);
    assert_eq!(Codec::from_number(5), None);
    assert_eq!(Codec::from_name("uncompressed"), Some(Codec::None));
    assert_eq!(Codec::from_name("zstd"), Some(Codec::Zstd));
    assert_eq!(Codec::from_name("brotli"), None);
}

#[test]
fn raw_snappy_and_joined_streams_are_read() {
    let input = b"snappy without a frame, as librdkafka writes it ".repeat(2000);
    let raw = snap::raw::Encoder::new().compress_vec(&input).unwrap();
    assert_eq!(unpacked(Codec::Snappy, &raw, LIMIT).unwrap(), input);
    for codec in [Codec::Snappy, Codec::Gzip, Codec::Zstd] {
        let twice =
            [packed(Compression::new(codec), &input), packed(Compression::new(codec), &input)].concat();
        assert_eq!(unpacked(codec, &twice, LIMIT).unwrap(), input.repeat(2), "{codec:?}");
    }
}

#[test]
fn lz4_frames_of_others_are_read_if_java_could() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write as _;
    let input = b"0123456789".repeat(100_000);
    let frame = |info: FrameInfo| {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&input).unwrap();
        encoder.finish().unwrap()
    };
    for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
        let info = FrameInfo::new().block_size(size).content_size(Some(input.len() as u64));
        let small = frame(info.content_checksum(true).block_checksums(true));
        assert_eq!(unpacked(Codec::Lz4, &small, LIMIT).unwrap(), input);
        let mut bad = small.clone();
        bad[40] ^= 1;
        assert!(unpacked(Codec::Lz4, &bad, LIMIT).is_err(), "block checksums are compared");
    }
    let linked = frame(FrameInfo::new().block_mode(BlockMode::Linked));
    assert!(unpacked(Codec::Lz4, &linked, LIMIT).is_err());
}

#[test]
fn bombs_cost_their_limit() {
    let zeros = vec![0u8; 64 << 20];
    for codec in [Codec::Gzip, Codec::Lz4, Codec::Zstd, Codec::Snappy] {
        let bomb = packed(Compression::new(codec), &zeros);
        let mut scratch = Scratch::new();
        let mut inflate = scratch.inflate(codec, &bomb, 1 << 20).unwrap();
        let error = loop {
            // A consumer that eats what it gets, as the walk does.
            match inflate.more() {
                Ok(true) => inflate.consume(inflate.available().len()),
                Ok(false) => panic!("{codec:?} ended within the limit"),
                Err(error) => break error,
            }
        };
        assert_eq!(error, CompressError::TooLarge { limit: 1 << 20 });
        assert!(inflate.produced() <= (1 << 20) + 64 * 1024);
        assert!(scratch.window.len() <= WINDOW_BYTES, "{codec:?} {}", scratch.window.len());
    }
}

#[test]
fn a_window_above_128_mib_is_refused() {
    // Magic, no single segment, window descriptor of 2^28, one empty last raw block.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (28 - 10) << 3, 1, 0, 0];
    assert!(matches!(unpacked(Codec::Zstd, &frame, LIMIT), Err(CompressError::Malformed { .. })));
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (27 - 10) << 3, 1, 0, 0];
    assert_eq!(unpacked(Codec::Zstd, &frame, LIMIT), Ok(vec![]));
}

#[test]
fn a_false_length_of_snappy_costs_nothing() {
    // A raw block that claims 2^31 bytes, then one that claims less than the limit.
    assert!(unpacked(Codec::Snappy, &[0x80, 0x80, 0x80, 0x80, 0x08, 0], usize::MAX >> 1).is_err());
    let error = unpacked(Codec::Snappy, &[0xff, 0xff, 0x7f, 0], LIMIT).unwrap_err();
    assert_eq!(error, CompressError::Malformed { codec: Codec::Snappy, what: "bad block length" });
}

#[test]
fn scratch_inside_scratch_works() {
    let small = packed(Compression::new(Codec::Lz4), b"hello");
    with_scratch(|_| assert_eq!(unpacked(Codec::Lz4, &small, 100).unwrap(), b"hello"));
}
