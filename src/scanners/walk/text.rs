//! From the bytes of one file to pieces of text, in bounded memory.

use std::io::{self, ErrorKind, Read};
use std::ops::ControlFlow;

/// How much of a file is looked at to tell text from anything else.
const SNIFFED: usize = 8 * 1024;
/// Files up to this size are read in one go; larger ones only after their first block was judged.
const READ_AT_ONCE: u64 = 64 * 1024;
/// Bytes of UTF-16 that are decoded at a time.
const RAW_CHUNK: usize = 32 * 1024;

/// The bounds of reading one file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes that one piece answers for; files up to this size come whole.
    pub(super) window: usize,
    /// Context before that part.
    pub(super) behind: usize,
    /// Context after that part.
    pub(super) ahead: usize,
    /// How far a file may outgrow the size it had when it was opened.
    pub(super) growth: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window: 4 * 1024 * 1024,
            behind: 4 * 1024,
            ahead: 64 * 1024,
            growth: 64 * 1024 * 1024,
        }
    }
}

/// A stretch of text, as in [`Piece`](crate::scanners::Piece) but without its entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) owned: (usize, usize),
    pub(super) first_line: u32,
    pub(super) is_whole: bool,
}

/// How reading a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// At its end; so many bytes were read.
    Complete(u64),
    /// It is not text.
    Binary,
    /// It grew faster than it was read, or without end.
    Grew,
    /// The consumer asked to stop.
    Stopped,
}

/// Memory that one thread reuses for all its files. `text` is always initialised to its full
/// length; how much of it is filled is known to the reader only.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    text: Vec<u8>,
    raw: Vec<u8>,
}

/// Reads `source`, which was `size` bytes long when it was opened, and hands it on as windows.
pub(super) fn feed(
    source: &mut impl Read,
    size: u64,
    limits: &Limits,
    buffers: &mut Buffers,
    consume: &mut dyn FnMut(Window<'_>) -> ControlFlow<()>,
) -> io::Result<Ending> {
    let mut reader = Reader {
        source,
        buffers,
        filled: 0,
        encoding: Encoding::Utf8,
        read: 0,
        ceiling: size.saturating_add(limits.growth),
        state: State::Open,
    };
    // One byte more than expected, so that a file of the expected size ends within this read.
    let expected = usize::try_from(size.saturating_add(1)).unwrap_or(usize::MAX);
    let full = limits.window + limits.ahead;
    reader.fill_to(if size <= READ_AT_ONCE {
        expected.min(full)
    } else {
        SNIFFED
    })?;
    if !reader.sniff() {
        return Ok(Ending::Binary);
    }
    reader.fill_to(expected.min(full))?;

    let mut owned_start = 0;
    let mut first_line: u32 = 1;
    let mut is_first = true;
    loop {
        reader.fill_to(owned_start + full)?;
        let is_last = reader.state != State::Open;
        let owned_end = if is_last {
            reader.filled
        } else {
            reader.filled.saturating_sub(limits.ahead)
        };
        let window = Window {
            bytes: reader.text(),
            owned: (owned_start, owned_end),
            first_line,
            is_whole: is_first && reader.state == State::Ended,
        };
        if (owned_start < owned_end || is_first) && consume(window).is_break() {
            return Ok(Ending::Stopped);
        }
        if is_last {
            break;
        }
        let dropped = owned_end.saturating_sub(limits.behind);
        first_line = first_line.saturating_add(reader.drop_front(dropped));
        owned_start = owned_end - dropped;
        is_first = false;
    }
    Ok(match reader.state {
        State::Grew => Ending::Grew,
        State::Open | State::Ended => Ending::Complete(reader.read),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    Grew,
}

#[derive(Debug, Clone, Copy)]
enum Encoding {
    /// Also stands for every other encoding without NUL bytes.
    Utf8,
    Utf16(Utf16),
}

struct Reader<'a, R> {
    source: &'a mut R,
    buffers: &'a mut Buffers,
    /// Bytes of `buffers.text` in use.
    filled: usize,
    encoding: Encoding,
    /// Bytes taken from the source.
    read: u64,
    /// Where to stop, if the source does not.
    ceiling: u64,
    state: State,
}

impl<R: Read> Reader<'_, R> {
    fn text(&self) -> &[u8] {
        self.buffers.text.get(..self.filled).unwrap_or_default()
    }

    /// Reads until `wanted` bytes of text are there, or the source ends.
    fn fill_to(&mut self, wanted: usize) -> io::Result<()> {
        while self.filled < wanted && self.state == State::Open {
            match self.encoding {
                Encoding::Utf8 => self.read_plain(wanted)?,
                Encoding::Utf16(decoder) => self.read_utf16(decoder)?,
            }
        }
        Ok(())
    }

    fn read_plain(&mut self, wanted: usize) -> io::Result<()> {
        grow(&mut self.buffers.text, wanted);
        let room = self
            .buffers
            .text
            .get_mut(self.filled..wanted)
            .unwrap_or_default();
        let count = read_some(self.source, room)?;
        self.filled += count;
        self.account(count);
        Ok(())
    }

    fn read_utf16(&mut self, mut decoder: Utf16) -> io::Result<()> {
        grow(&mut self.buffers.raw, RAW_CHUNK);
        let count = read_some(
            self.source,
            self.buffers.raw.get_mut(..RAW_CHUNK).unwrap_or_default(),
        )?;
        self.account(count);
        self.buffers.text.truncate(self.filled);
        let raw = self.buffers.raw.get(..count).unwrap_or_default();
        decoder.decode(raw, &mut self.buffers.text);
        if self.state != State::Open {
            decoder.end(&mut self.buffers.text);
        }
        self.filled = self.buffers.text.len();
        self.encoding = Encoding::Utf16(decoder);
        Ok(())
    }

    fn account(&mut self, count: usize) {
        self.read += count as u64;
        if count == 0 {
            self.state = State::Ended;
        } else if self.read > self.ceiling {
            self.state = State::Grew;
        }
    }

    /// Judges the first block. Takes off a byte order mark and starts decoding where necessary;
    /// returns false for what is not text.
    fn sniff(&mut self) -> bool {
        let head = self
            .text()
            .get(..self.filled.min(SNIFFED))
            .unwrap_or_default();
        let is_little_endian = match head {
            [0xEF, 0xBB, 0xBF, ..] => {
                self.drop_front(3);
                let head = self
                    .text()
                    .get(..self.filled.min(SNIFFED))
                    .unwrap_or_default();
                return memchr::memchr(0, head).is_none();
            }
            // UTF-32; nobody writes it.
            [0xFF, 0xFE, 0, 0, ..] => return false,
            [0xFF, 0xFE, ..] => true,
            [0xFE, 0xFF, ..] => false,
            _ if memchr::memchr(0, head).is_none() => return true,
            _ => match utf16_without_mark(head) {
                Some(is_little_endian) => is_little_endian,
                None => return false,
            },
        };
        let mut decoder = Utf16 {
            is_little_endian,
            at_start: true,
            half: None,
            high: None,
        };
        let raw = self.text().to_vec();
        self.buffers.text.clear();
        decoder.decode(&raw, &mut self.buffers.text);
        if self.state != State::Open {
            decoder.end(&mut self.buffers.text);
        }
        self.filled = self.buffers.text.len();
        self.encoding = Encoding::Utf16(decoder);
        true
    }

    /// Forgets the first `count` bytes and returns how many line ends were among them.
    fn drop_front(&mut self, count: usize) -> u32 {
        let lines = line_ends(self.text().get(..count).unwrap_or_default());
        self.buffers.text.copy_within(count..self.filled, 0);
        self.filled -= count;
        lines
    }
}

fn line_ends(bytes: &[u8]) -> u32 {
    u32::try_from(memchr::memchr_iter(b'\n', bytes).count()).unwrap_or(u32::MAX)
}

fn grow(buffer: &mut Vec<u8>, length: usize) {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
}

fn read_some(source: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(room) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Tells whether text with NUL bytes is UTF-16 of mostly Latin letters, and its byte order:
/// every second byte is NUL, and only every second.
fn utf16_without_mark(head: &[u8]) -> Option<bool> {
    let mut pairs = 0_usize;
    let (mut nul_first, mut nul_second) = (0_usize, 0_usize);
    let mut controls = 0_usize;
    for pair in head.chunks_exact(2) {
        let &[first, second] = pair else { break };
        pairs += 1;
        nul_first += usize::from(first == 0);
        nul_second += usize::from(second == 0);
        controls += usize::from(matches!(first.max(second), 0..=8 | 14..=31));
    }
    if pairs < 4 || controls > 0 {
        return None;
    }
    let is_most = |count: usize| count * 4 >= pairs * 3;
    match (nul_first, nul_second) {
        (0, count) if is_most(count) => Some(true),
        (count, 0) if is_most(count) => Some(false),
        _ => None,
    }
}

/// Turns UTF-16 into UTF-8 chunk by chunk; whatever is not UTF-16 becomes U+FFFD.
#[derive(Debug, Clone, Copy)]
struct Utf16 {
    is_little_endian: bool,
    at_start: bool,
    /// First byte of a code unit whose second is in the next chunk.
    half: Option<u8>,
    /// First surrogate of a pair whose second has not come yet.
    high: Option<u16>,
}

impl Utf16 {
    fn decode(&mut self, raw: &[u8], text: &mut Vec<u8>) {
        text.reserve(raw.len() / 2 * 3 + 8);
        let mut raw = raw;
        if let (Some(first), Some((&second, rest))) = (self.half, raw.split_first()) {
            self.half = None;
            self.unit([first, second], text);
            raw = rest;
        }
        let pairs = raw.chunks_exact(2);
        if let &[half] = pairs.remainder() {
            self.half = Some(half);
        }
        for pair in pairs {
            if let &[first, second] = pair {
                self.unit([first, second], text);
            }
        }
    }

    fn unit(&mut self, bytes: [u8; 2], text: &mut Vec<u8>) {
        let unit = if self.is_little_endian {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        };
        if std::mem::take(&mut self.at_start) && unit == 0xFEFF {
            return;
        }
        if let Some(high) = self.high.take() {
            if let Some(Ok(character)) = char::decode_utf16([high, unit]).next() {
                push(character, text);
                return;
            }
            push(char::REPLACEMENT_CHARACTER, text);
        }
        match unit {
            0xD800..0xDC00 => self.high = Some(unit),
            _ => push(
                char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER),
                text,
            ),
        }
    }

    fn end(&mut self, text: &mut Vec<u8>) {
        if self.half.take().is_some() | self.high.take().is_some() {
            push(char::REPLACEMENT_CHARACTER, text);
        }
    }
}

fn push(character: char, text: &mut Vec<u8>) {
    if character.is_ascii() {
        text.extend(u8::try_from(character));
    } else {
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One window as a test remembers it.
    struct Seen {
        bytes: Vec<u8>,
        owned: (usize, usize),
        first_line: u32,
        is_whole: bool,
    }

    /// Gives its bytes in small, uneven portions.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.1 = self.1 % 7 + 1;
            let count = self.1.min(room.len()).min(self.0.len());
            room[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn read_with(bytes: &[u8], limits: &Limits) -> (Ending, Vec<Seen>) {
        let mut seen = Vec::new();
        let ending = feed(
            &mut Dribble(bytes, 0),
            bytes.len() as u64,
            limits,
            &mut Buffers::default(),
            &mut |window| {
                seen.push(Seen {
                    bytes: window.bytes.to_vec(),
                    owned: window.owned,
                    first_line: window.first_line,
                    is_whole: window.is_whole,
                });
                ControlFlow::Continue(())
            },
        )
        .unwrap();
        (ending, seen)
    }

    fn text_of(seen: &[Seen]) -> String {
        let bytes: Vec<u8> = seen
            .iter()
            .flat_map(|s| s.bytes[s.owned.0..s.owned.1].to_vec())
            .collect();
        String::from_utf8(bytes).unwrap()
    }

    const SMALL: Limits = Limits {
        window: 40,
        behind: 5,
        ahead: 9,
        growth: 1000,
    };

    fn utf16(text: &str, is_little_endian: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| {
                if is_little_endian {
                    unit.to_le_bytes()
                } else {
                    unit.to_be_bytes()
                }
            })
            .collect()
    }

    proptest! {
        #[test]
        fn windows_own_every_byte_once_and_know_their_lines(
            text in "[a-c\n]{0,400}", window in 1_usize..60, behind in 0_usize..20, ahead in 0_usize..20,
        ) {
            let limits = Limits { window, behind, ahead, growth: 1000 };
            let (ending, seen) = read_with(text.as_bytes(), &limits);
            prop_assert_eq!(ending, Ending::Complete(text.len() as u64));
            prop_assert_eq!(text_of(&seen), text.clone());
            let mut position = 0;
            for s in &seen {
                let start = position - s.owned.0;
                prop_assert_eq!(&text.as_bytes()[start..start + s.bytes.len()], &s.bytes[..]);
                let line = 1 + text.as_bytes()[..start].iter().filter(|&&b| b == b'\n').count();
                prop_assert_eq!(s.first_line as usize, line);
                prop_assert!(s.owned.0 >= behind.min(position));
                position += s.owned.1 - s.owned.0;
                prop_assert!(s.bytes.len() - s.owned.1 >= ahead.min(text.len() - position));
                prop_assert!(s.bytes.len() <= window + behind + ahead + 1);
            }
            prop_assert_eq!(seen.iter().any(|s| s.is_whole), seen.len() == 1);
        }

        #[test]
        fn utf16_becomes_utf8(text in "\\PC{0,300}", is_little_endian: bool) {
            let mut bytes = if is_little_endian { vec![0xFF, 0xFE] } else { vec![0xFE, 0xFF] };
            bytes.extend(utf16(&text, is_little_endian));
            let (ending, seen) = read_with(&bytes, &SMALL);
            prop_assert_eq!(ending, Ending::Complete(bytes.len() as u64));
            prop_assert_eq!(text_of(&seen), text);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            read_with(&bytes, &SMALL);
        }
    }

    #[test]
    fn text_is_told_from_the_rest() {
        for (bytes, is_text) in [
            (&b""[..], true),
            (b"plain", true),
            (b"\xEF\xBB\xBFmarked", true),
            (b"latin \xE9\xE8", true),
            (b"nul \0 inside", false),
            (b"\x7FELF\x02\x01\x01\0\0\0\0\0", false),
            (b"\xFF\xFE\0\0a\0\0\0", false),
            (b"a\0b\0c\0d\0e\0", true),
            (b"\0a\0b\0c\0d\0e", true),
            (b"\x01\0\x02\0\x03\0\x04\0\x05\0", false),
        ] {
            assert_eq!(
                read_with(bytes, &SMALL).0 != Ending::Binary,
                is_text,
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_nul_after_the_first_block_is_read_on() {
        let mut bytes = vec![b'x'; SNIFFED];
        bytes.push(0);
        bytes.extend(b"tail");
        assert_eq!(
            read_with(&bytes, &Limits::default()).0,
            Ending::Complete(8197)
        );
    }

    #[test]
    fn marks_are_taken_off_and_lone_surrogates_replaced() {
        assert_eq!(text_of(&read_with(b"\xEF\xBB\xBFabc", &SMALL).1), "abc");
        let mut bytes = vec![0xFF, 0xFE];
        for unit in [0xD800_u16, 0x61, 0xDC00, 0x62, 0xD83D, 0xDE00, 0xD83D] {
            bytes.extend(unit.to_le_bytes());
        }
        assert_eq!(
            text_of(&read_with(&bytes, &SMALL).1),
            "\u{FFFD}a\u{FFFD}b\u{1F600}\u{FFFD}"
        );
        bytes.push(0);
        assert_eq!(read_with(&bytes, &SMALL).0, Ending::Complete(17));
    }

    #[test]
    fn a_file_that_grows_without_end_is_given_up() {
        let mut windows = 0;
        let ending = feed(
            &mut io::repeat(b'x'),
            10,
            &SMALL,
            &mut Buffers::default(),
            &mut |_| {
                windows += 1;
                ControlFlow::Continue(())
            },
        );
        assert_eq!(ending.unwrap(), Ending::Grew);
        assert!((20..40).contains(&windows));
    }

    #[test]
    fn a_consumer_can_stop() {
        let ending = feed(
            &mut io::repeat(b'x'),
            10,
            &SMALL,
            &mut Buffers::default(),
            &mut |_| ControlFlow::Break(()),
        );
        assert_eq!(ending.unwrap(), Ending::Stopped);
    }
}
