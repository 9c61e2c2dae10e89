//! The codecs of record batches: gzip, snappy, lz4 and zstd, as Kafka's clients write them.
//!
//! Decompression is a stream with a window: [`Inflate`] holds back the compressed bytes and hands out what it has
//! decoded so far, never more than a caller's limit in all. A bomb so costs one window and the time to reach the limit.
//! The contexts and buffers behind it live in a [`Scratch`] and are used again, so that a warm thread allocates nothing
//! per batch; [`with_scratch`] keeps one per thread.
//!
//! What is read: gzip of one or more members; snappy in xerial's framing (Java) or as one raw block (librdkafka, Go);
//! lz4 frames with independent blocks; zstd frames. What is written is what Kafka's Java classes write: xerial blocks of
//! 32 KiB, lz4 blocks of 64 KiB without content checksum.

use std::cell::RefCell;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use zstd::zstd_safe::{CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

/// Bytes of a fresh window.
const WINDOW_BYTES: usize = 128 * 1024;
/// A window that grew beyond this for a large record or block is given back afterwards.
const WINDOW_BYTES_KEPT: usize = 1024 * 1024;
/// zstd: the log of the largest window a frame may demand, as in Kafka's own decoder (128 MiB). The memory is only
/// touched as far as output is written, which the limit bounds.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// A zstd context with more memory than this is not kept.
const ZSTD_BYTES_KEPT: usize = 12 * 1024 * 1024;
/// Room for output that gzip and zstd get at least, each time.
const STREAM_STEP_BYTES: usize = 16 * 1024;

/// How the records of a batch are compressed. The number is in the attributes of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Codec {
    /// Not at all.
    None = 0,
    /// RFC 1952.
    Gzip = 1,
    /// Snappy, in xerial's framing or raw.
    Snappy = 2,
    /// lz4 frames.
    Lz4 = 3,
    /// zstd frames (KIP-110).
    Zstd = 4,
}

impl Codec {
    /// All codecs, by number.
    pub const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    /// The codec of that number; `None` for 5, 6 and 7, which nobody uses.
    pub fn from_number(number: u8) -> Option<Codec> {
        Codec::ALL.get(usize::from(number)).copied()
    }

    /// The number in the attributes.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }

    /// The codec of that name; `uncompressed`, as topics say, is `none`, as producers say.
    pub fn from_name(name: &str) -> Option<Codec> {
        if name == "uncompressed" {
            return Some(Codec::None);
        }
        Codec::ALL.into_iter().find(|codec| codec.name() == name)
    }
}

/// A codec and how hard it should try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// The codec.
    pub codec: Codec,
    /// The level in the codec's own terms; ignored by `none`, snappy and lz4 (which is always fast here).
    pub level: i32,
}

impl Compression {
    /// `codec` with Kafka's default level.
    pub fn new(codec: Codec) -> Compression {
        let level = match codec {
            Codec::None | Codec::Snappy => 0,
            Codec::Gzip => -1,
            Codec::Lz4 => 9,
            Codec::Zstd => 3,
        };
        Compression { codec, level }
    }

    /// `codec` with a level of `compression.{gzip,lz4,zstd}.level`. `None` if Kafka would refuse it: gzip takes 1 to 9
    /// and -1, lz4 1 to 17, zstd -131072 to 22.
    pub fn with_level(codec: Codec, level: i32) -> Option<Compression> {
        let allowed = match codec {
            Codec::None | Codec::Snappy => true,
            Codec::Gzip => level == -1 || (1..=9).contains(&level),
            Codec::Lz4 => (1..=17).contains(&level),
            Codec::Zstd => (-131_072..=22).contains(&level),
        };
        allowed.then_some(Compression { codec, level })
    }
}

/// Why a payload cannot be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CompressError {
    /// More comes out than the caller allows.
    #[error("more than {limit} bytes come out of the compressed records")]
    TooLarge {
        /// The caller's limit in bytes.
        limit: usize,
    },
    /// Not what the codec writes.
    #[error("{} data is malformed: {what}", codec.name())]
    Malformed {
        /// The codec that the batch names.
        codec: Codec,
        /// What is wrong.
        what: &'static str,
    },
    /// A compressor failed, which it does only without memory or with a level it does not know.
    #[error("{} cannot compress", .0.name())]
    Compressor(Codec),
}

fn malformed(codec: Codec, what: &'static str) -> CompressError {
    CompressError::Malformed { codec, what }
}

/// What decompression needs and keeps from batch to batch. A few hundred KiB when warm.
#[derive(Default)]
pub struct Scratch {
    window: Vec<u8>,
    gzip: Option<Decompress>,
    zstd: Option<DCtx<'static>>,
    snappy: snap::raw::Decoder,
}

impl Scratch {
    /// An empty one; it fills as codecs are met.
    pub fn new() -> Scratch {
        Scratch::default()
    }

    /// Begins to decompress `input`. No more than `limit` bytes will come out in all.
    pub fn inflate<'s, 'i>(
        &'s mut self,
        codec: Codec,
        input: &'i [u8],
        limit: usize,
    ) -> Result<Inflate<'s, 'i>, CompressError> {
        if self.window.len() > WINDOW_BYTES_KEPT {
            self.window = Vec::new();
        }
        if self.window.is_empty() {
            self.window = vec![0; WINDOW_BYTES];
        }
        let state = match codec {
            Codec::None => State::Plain,
            Codec::Gzip => {
                match &mut self.gzip {
                    Some(gzip) => gzip.reset(false),
                    None => self.gzip = Some(Decompress::new(false)),
                }
                State::GzipMember
            }
            Codec::Snappy if input.starts_with(XERIAL_MAGIC) => State::XerialHeader,
            Codec::Snappy => State::SnappyBlock,
            Codec::Lz4 => State::Lz4Frame,
            Codec::Zstd => {
                let context = match self.zstd.take().filter(|zstd| zstd.sizeof() <= ZSTD_BYTES_KEPT) {
                    Some(mut zstd) => zstd.reset(ResetDirective::SessionOnly).map(|_| zstd),
                    None => DCtx::try_create().ok_or(0).and_then(|mut zstd| {
                        zstd.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX)).map(|_| zstd)
                    }),
                };
                self.zstd = Some(context.map_err(|_| malformed(codec, "no context"))?);
                State::Zstd { frame_ended: true }
            }
        };
        Ok(Inflate { scratch: self, input, state, start: 0, end: 0, produced: 0, limit })
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// Runs `f` with this thread's scratch, or with a fresh one if `f` is already running inside another.
pub fn with_scratch<T>(f: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => f(&mut scratch),
        Err(_) => f(&mut Scratch::new()),
    })
}

/// Where a stream stands.
enum State {
    Plain,
    GzipMember,
    GzipBody { crc: Crc },
    XerialHeader,
    XerialBlock,
    SnappyBlock,
    Lz4Frame,
    Lz4Block { max_bytes: usize, checksums: bool, content_checksum: bool },
    Zstd { frame_ended: bool },
    End,
}

/// A decompression under way: bytes come out at the front, as [`std::io::BufRead`] has it, within a limit.
pub struct Inflate<'s, 'i> {
    scratch: &'s mut Scratch,
    input: &'i [u8],
    state: State,
    start: usize,
    end: usize,
    produced: usize,
    limit: usize,
}

impl<'i> Inflate<'_, 'i> {
    /// What is decoded and not yet consumed.
    #[inline]
    pub fn available(&self) -> &[u8] {
        &self.scratch.window[self.start..self.end]
    }

    /// Drops `count` of the available bytes from the front.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start, "no more can be consumed than is available");
        self.start = (self.start + count).min(self.end);
    }

    /// Bytes that came out so far.
    pub fn produced(&self) -> usize {
        self.produced
    }

    /// Decodes on, so that more is available than before; false at the end of the stream.
    pub fn more(&mut self) -> Result<bool, CompressError> {
        let before = self.produced;
        while self.produced == before {
            if matches!(self.state, State::End) {
                return Ok(false);
            }
            self.step()?;
        }
        Ok(true)
    }

    /// Decodes all that is left behind `out`.
    pub fn read_to_end(&mut self, out: &mut Vec<u8>) -> Result<(), CompressError> {
        loop {
            out.extend_from_slice(self.available());
            self.consume(self.end - self.start);
            if !self.more()? {
                return Ok(());
            }
        }
    }

    fn step(&mut self) -> Result<(), CompressError> {
        match &mut self.state {
            State::End => Ok(()),
            State::Plain => self.plain(),
            State::GzipMember => self.gzip_member(),
            State::GzipBody { .. } => self.gzip_body(),
            State::XerialHeader => self.xerial_header(),
            State::XerialBlock => self.xerial_block(),
            State::SnappyBlock => {
                let block = std::mem::take(&mut self.input);
                self.state = State::End;
                self.snappy_block(block)
            }
            State::Lz4Frame => self.lz4_frame(),
            State::Lz4Block { max_bytes, checksums, content_checksum } => {
                let (max_bytes, checksums, content_checksum) = (*max_bytes, *checksums, *content_checksum);
                self.lz4_block(max_bytes, checksums, content_checksum)
            }
            State::Zstd { frame_ended } => {
                let frame_ended = *frame_ended;
                self.zstd(frame_ended)
            }
        }
    }

    /// Takes `count` bytes of input.
    fn take(&mut self, count: usize, codec: Codec) -> Result<&'i [u8], CompressError> {
        let (taken, rest) = self.input.split_at_checked(count).ok_or(malformed(codec, "cut off"))?;
        self.input = rest;
        Ok(taken)
    }

    fn take_u32_le(&mut self, codec: Codec) -> Result<u32, CompressError> {
        self.take(4, codec).map(|raw| raw.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte)))
    }

    /// Makes room for at least `count` bytes behind what is available, and returns all the room there is.
    fn room(&mut self, count: usize) -> &mut [u8] {
        let window = &mut self.scratch.window;
        if window.len() - self.end < count {
            window.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if window.len() - self.end < count {
                // What is available is bounded by the limit, and `count` by the codecs' block sizes.
                let needed = self.end + count;
                window.resize(needed.max(window.len() * 2), 0);
            }
        }
        &mut window[self.end..]
    }

    fn produced_more(&mut self, count: usize) -> Result<(), CompressError> {
        self.end += count;
        self.produced += count;
        if self.produced > self.limit { Err(CompressError::TooLarge { limit: self.limit }) } else { Ok(()) }
    }

    fn plain(&mut self) -> Result<(), CompressError> {
        let piece = self.take(self.input.len().min(STREAM_STEP_BYTES), Codec::None)?;
        if piece.is_empty() {
            self.state = State::End;
            return Ok(());
        }
        self.room(piece.len())[..piece.len()].copy_from_slice(piece);
        self.produced_more(piece.len())
    }

    fn gzip_member(&mut self) -> Result<(), CompressError> {
        const HEADER_CRC: u8 = 2;
        const EXTRA: u8 = 4;
        const NAME: u8 = 8;
        const COMMENT: u8 = 16;
        let header = self.take(10, Codec::Gzip)?;
        if header[..3] != [0x1f, 0x8b, 8] {
            return Err(malformed(Codec::Gzip, "no gzip header"));
        }
        let flags = header[3];
        if flags & 0xe0 != 0 {
            return Err(malformed(Codec::Gzip, "reserved flags"));
        }
        if flags & EXTRA != 0 {
            let length = self.take(2, Codec::Gzip)?;
            self.take(usize::from(length[0]) | usize::from(length[1]) << 8, Codec::Gzip)?;
        }
        for text in [NAME, COMMENT] {
            if flags & text != 0 {
                let length = self.input.iter().position(|&byte| byte == 0);
                self.take(length.ok_or(malformed(Codec::Gzip, "cut off"))? + 1, Codec::Gzip)?;
            }
        }
        if flags & HEADER_CRC != 0 {
            self.take(2, Codec::Gzip)?;
        }
        self.state = State::GzipBody { crc: Crc::new() };
        Ok(())
    }

    fn gzip_body(&mut self) -> Result<(), CompressError> {
        self.room(STREAM_STEP_BYTES);
        let allowed = (self.limit - self.produced).saturating_add(1);
        let (State::GzipBody { crc }, Some(gzip)) = (&mut self.state, &mut self.scratch.gzip) else {
            return Err(malformed(Codec::Gzip, "no context"));
        };
        let room = &mut self.scratch.window[self.end..];
        let room_bytes = room.len().min(allowed);
        let room = &mut room[..room_bytes];
        let (in_before, out_before) = (gzip.total_in(), gzip.total_out());
        let status = gzip
            .decompress(self.input, room, FlushDecompress::None)
            .map_err(|_| malformed(Codec::Gzip, "bad deflate data"))?;
        let eaten = (gzip.total_in() - in_before) as usize;
        let count = (gzip.total_out() - out_before) as usize;
        crc.update(&room[..count]);
        self.input = &self.input[eaten..];
        if status == Status::StreamEnd {
            let (sum, amount) = (crc.sum(), crc.amount());
            gzip.reset(false);
            if self.take_u32_le(Codec::Gzip)? != sum || self.take_u32_le(Codec::Gzip)? != amount {
                return Err(malformed(Codec::Gzip, "checksum or length differs"));
            }
            self.state = if self.input.is_empty() { State::End } else { State::GzipMember };
        } else if eaten == 0 && count == 0 {
            return Err(malformed(Codec::Gzip, "cut off"));
        }
        self.produced_more(count)
    }

    fn xerial_header(&mut self) -> Result<(), CompressError> {
        // The magic was seen; version and lowest compatible version follow, which no reader looks at any more.
        self.take(XERIAL_MAGIC.len() + 8, Codec::Snappy)?;
        self.state = State::XerialBlock;
        Ok(())
    }

    fn xerial_block(&mut self) -> Result<(), CompressError> {
        if self.input.is_empty() {
            self.state = State::End;
            return Ok(());
        }
        if self.input.starts_with(XERIAL_MAGIC) {
            // Streams may be joined.
            return self.xerial_header();
        }
        let length =
            self.take(4, Codec::Snappy)?.iter().fold(0, |number, &byte| number << 8 | usize::from(byte));
        let block = self.take(length, Codec::Snappy)?;
        self.snappy_block(block)
    }

    fn snappy_block(&mut self, block: &[u8]) -> Result<(), CompressError> {
        let bad = |_| malformed(Codec::Snappy, "bad block");
        let length = snap::raw::decompress_len(block).map_err(bad)?;
        if length > self.limit - self.produced {
            return Err(CompressError::TooLarge { limit: self.limit });
        }
        // Three bytes stand for 64 at most: a length that cannot be true is refused before it costs memory.
        if length / 32 > block.len() {
            return Err(malformed(Codec::Snappy, "bad block length"));
        }
        self.room(length);
        let room = &mut self.scratch.window[self.end..self.end + length];
        let count = self.scratch.snappy.decompress(block, room).map_err(bad)?;
        self.produced_more(count)
    }

    fn lz4_frame(&mut self) -> Result<(), CompressError> {
        let bad = |what| Err(malformed(Codec::Lz4, what));
        if self.take_u32_le(Codec::Lz4)? != LZ4_MAGIC {
            return bad("no frame");
        }
        let descriptor = self.input;
        let head = self.take(2, Codec::Lz4)?;
        let (flags, sizes) = (head[0], head[1]);
        if flags & LZ4_VERSION_MASK != LZ4_VERSION {
            return bad("unknown version");
        }
        if flags & LZ4_INDEPENDENT == 0 {
            // Java's consumers could not read it.
            return bad("dependent blocks");
        }
        if flags & LZ4_RESERVED != 0 || sizes & 0x8f != 0 || sizes >> 4 < 4 {
            return bad("bad descriptor");
        }
        let content_size_bytes = if flags & LZ4_CONTENT_SIZE != 0 { 8 } else { 0 };
        self.take(content_size_bytes, Codec::Lz4)?;
        let sum = (xxh32(&descriptor[..2 + content_size_bytes]) >> 8) as u8;
        if self.take(1, Codec::Lz4)?[0] != sum {
            return bad("descriptor checksum differs");
        }
        self.state = State::Lz4Block {
            max_bytes: 1 << (2 * (sizes >> 4) + 8),
            checksums: flags & LZ4_BLOCK_CHECKSUM != 0,
            content_checksum: flags & LZ4_CONTENT_CHECKSUM != 0,
        };
        Ok(())
    }

    fn lz4_block(
        &mut self,
        max_bytes: usize,
        checksums: bool,
        content_checksum: bool,
    ) -> Result<(), CompressError> {
        let word = self.take_u32_le(Codec::Lz4)?;
        let length = (word & !LZ4_STORED) as usize;
        if length == 0 {
            if content_checksum {
                // The batch's own checksum covers the compressed bytes; as in Java, this one is not compared.
                self.take(4, Codec::Lz4)?;
            }
            if !self.input.is_empty() {
                return Err(malformed(Codec::Lz4, "bytes behind the frame"));
            }
            self.state = State::End;
            return Ok(());
        }
        if length > max_bytes {
            return Err(malformed(Codec::Lz4, "block too large"));
        }
        let block = self.take(length, Codec::Lz4)?;
        if checksums && self.take_u32_le(Codec::Lz4)? != xxh32(block) {
            return Err(malformed(Codec::Lz4, "block checksum differs"));
        }
        let room = self.room(max_bytes);
        let count = if word & LZ4_STORED != 0 {
            room[..length].copy_from_slice(block);
            length
        } else {
            lz4_flex::block::decompress_into(block, &mut room[..max_bytes])
                .map_err(|_| malformed(Codec::Lz4, "bad block"))?
        };
        self.produced_more(count)
    }

    fn zstd(&mut self, frame_ended: bool) -> Result<(), CompressError> {
        if frame_ended && self.input.is_empty() {
            self.state = State::End;
            return Ok(());
        }
        self.room(STREAM_STEP_BYTES);
        let allowed = (self.limit - self.produced).saturating_add(1);
        let Some(zstd) = &mut self.scratch.zstd else {
            return Err(malformed(Codec::Zstd, "no context"));
        };
        let room = &mut self.scratch.window[self.end..];
        let room_bytes = room.len().min(allowed);
        let mut output = OutBuffer::around(&mut room[..room_bytes]);
        let mut input = InBuffer::around(self.input);
        let left = zstd
            .decompress_stream(&mut output, &mut input)
            .map_err(|_| malformed(Codec::Zstd, "bad frame, or a window above 128 MiB"))?;
        let (eaten, count) = (input.pos(), output.pos());
        self.input = &self.input[eaten..];
        if left != 0 && eaten == 0 && count == 0 {
            return Err(malformed(Codec::Zstd, "cut off"));
        }
        self.state = State::Zstd { frame_ended: left == 0 };
        self.produced_more(count)
    }
}

/// Decompresses all of `input` behind `out`; no more than `limit` bytes.
pub fn decompress(codec: Codec, input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CompressError> {
    with_scratch(|scratch| scratch.inflate(codec, input, limit)?.read_to_end(out))
}

/// Compresses `input` behind `out`.
pub fn compress(compression: Compression, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
    match compression.codec {
        Codec::None => out.extend_from_slice(input),
        Codec::Gzip => compress_gzip(compression.level, input, out)?,
        Codec::Snappy => compress_xerial(input, out)?,
        Codec::Lz4 => compress_lz4(input, out)?,
        Codec::Zstd => compress_zstd(compression.level, input, out)?,
    }
    Ok(())
}

fn compress_gzip(level: i32, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
    use std::io::Write as _;
    let level =
        u32::try_from(level).map_or_else(|_| flate2::Compression::default(), flate2::Compression::new);
    let mut encoder = flate2::write::GzEncoder::new(out, level);
    // Writing to a Vec cannot fail.
    encoder.write_all(input).map_err(|_| CompressError::Compressor(Codec::Gzip))?;
    encoder.finish().map_err(|_| CompressError::Compressor(Codec::Gzip))?;
    Ok(())
}

/// How xerial's streams begin. Whatever does not is one raw block, as Java's reader has it.
const XERIAL_MAGIC: &[u8] = &[0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;

fn compress_xerial(input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
    out.extend_from_slice(XERIAL_MAGIC);
    out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    let mut encoder = snap::raw::Encoder::new();
    for block in input.chunks(XERIAL_BLOCK_BYTES) {
        let at = out.len();
        out.resize(at + 4 + snap::raw::max_compress_len(block.len()), 0);
        let count = encoder
            .compress(block, &mut out[at + 4..])
            .map_err(|_| CompressError::Compressor(Codec::Snappy))?;
        out[at..at + 4].copy_from_slice(&(count as u32).to_be_bytes());
        out.truncate(at + 4 + count);
    }
    Ok(())
}

const LZ4_MAGIC: u32 = 0x184d_2204;
const LZ4_VERSION_MASK: u8 = 0xc0;
const LZ4_VERSION: u8 = 0x40;
const LZ4_INDEPENDENT: u8 = 0x20;
const LZ4_BLOCK_CHECKSUM: u8 = 0x10;
const LZ4_CONTENT_SIZE: u8 = 0x08;
const LZ4_CONTENT_CHECKSUM: u8 = 0x04;
const LZ4_RESERVED: u8 = 0x03;
/// Block lengths with this bit are of blocks that are stored as they are.
const LZ4_STORED: u32 = 0x8000_0000;
const LZ4_BLOCK_BYTES: usize = 64 * 1024;

fn compress_lz4(input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
    let descriptor = [LZ4_VERSION | LZ4_INDEPENDENT, 4 << 4];
    out.extend_from_slice(&LZ4_MAGIC.to_le_bytes());
    out.extend_from_slice(&descriptor);
    out.push((xxh32(&descriptor) >> 8) as u8);
    let mut table = lz4_flex::block::CompressTable::default();
    for block in input.chunks(LZ4_BLOCK_BYTES) {
        let at = out.len();
        out.resize(at + 4 + lz4_flex::block::get_maximum_output_size(block.len()), 0);
        let count = lz4_flex::block::compress_into_with_table(block, &mut out[at + 4..], &mut table)
            .map_err(|_| CompressError::Compressor(Codec::Lz4))?;
        let (word, count) = if count >= block.len() {
            out[at + 4..at + 4 + block.len()].copy_from_slice(block);
            (block.len() as u32 | LZ4_STORED, block.len())
        } else {
            (count as u32, count)
        };
        out[at..at + 4].copy_from_slice(&word.to_le_bytes());
        out.truncate(at + 4 + count);
    }
    out.extend_from_slice(&[0; 4]);
    Ok(())
}

fn compress_zstd(level: i32, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
    let failed = |_| CompressError::Compressor(Codec::Zstd);
    let mut context = zstd::zstd_safe::CCtx::try_create().ok_or(CompressError::Compressor(Codec::Zstd))?;
    context.set_parameter(CParameter::CompressionLevel(level)).map_err(failed)?;
    let at = out.len();
    out.resize(at + zstd::zstd_safe::compress_bound(input.len()), 0);
    let count = context.compress2(&mut out[at..], input).map_err(failed)?;
    out.truncate(at + count);
    Ok(())
}

/// xxHash, 32 bits, seed 0: the checksum inside lz4 frames.
/// <https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>
fn xxh32(bytes: &[u8]) -> u32 {
    const P1: u32 = 0x9e37_79b1;
    const P2: u32 = 0x85eb_ca77;
    const P3: u32 = 0xc2b2_ae3d;
    const P4: u32 = 0x27d4_eb2f;
    const P5: u32 = 0x1656_67b1;
    let word = |raw: &[u8]| raw.iter().rev().fold(0u32, |number, &byte| number << 8 | u32::from(byte));
    let mut stripes = bytes.chunks_exact(16);
    let mut hash = if bytes.len() >= 16 {
        let mut lanes = [P1.wrapping_add(P2), P2, 0, 0u32.wrapping_sub(P1)];
        for stripe in stripes.by_ref() {
            for (lane, raw) in lanes.iter_mut().zip(stripe.chunks_exact(4)) {
                *lane = lane.wrapping_add(word(raw).wrapping_mul(P2)).rotate_left(13).wrapping_mul(P1);
            }
        }
        let turned = lanes.iter().zip([1, 7, 12, 18]).map(|(lane, by)| lane.rotate_left(by));
        turned.fold(0u32, u32::wrapping_add)
    } else {
        P5
    };
    hash = hash.wrapping_add(bytes.len() as u32);
    let mut words = stripes.remainder().chunks_exact(4);
    for raw in words.by_ref() {
        hash = hash.wrapping_add(word(raw).wrapping_mul(P3)).rotate_left(17).wrapping_mul(P4);
    }
    for &byte in words.remainder() {
        hash = hash.wrapping_add(u32::from(byte).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(P2);
    hash = (hash ^ (hash >> 13)).wrapping_mul(P3);
    hash ^ (hash >> 16)
}

#[cfg(test)]
#[path = "compress_test.rs"]
mod tests;
