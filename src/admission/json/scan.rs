//! Where strings, lists and objects end, found for many bytes at a time.
//!
//! A loop over bytes branches for each of them, and no processor foresees where a string ends. Here a comparison gives
//! a bit for each byte, and arithmetic on the bits tells which bytes are within strings, as in Langdale and Lemire,
//! "Parsing Gigabytes of JSON per Second" (VLDB Journal 28, 2019).

use wide::u8x16;

/// How many bytes stand for themselves in a string: up to a quote, a backslash or a control character.
pub(super) fn plain_length(text: &[u8]) -> usize {
    let mut rest = text;
    while let Some((chunk, after)) = rest.split_first_chunk() {
        let bytes = u8x16::new(*chunk);
        let quotes = bytes.simd_eq(u8x16::splat(b'"'));
        let backslashes = bytes.simd_eq(u8x16::splat(b'\\'));
        let controls = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
        let ends = (quotes | backslashes | controls).to_bitmask();
        if ends != 0 {
            return text.len() - rest.len() + lowest(ends.into());
        }
        rest = after;
    }
    let plain = |byte: &&u8| **byte > 0x1f && !matches!(**byte, b'"' | b'\\');
    text.len() - rest.len() + rest.iter().take_while(plain).count()
}

/// The length of the rest of a string, its closing quote included. Nothing else of it is looked at.
pub(super) fn string_length(text: &[u8]) -> Option<usize> {
    let mut escapes = Escapes::default();
    find(text, |block| {
        let quotes = block.is(b'"') & !escapes.escaped(block.is(b'\\'));
        (quotes != 0).then(|| lowest(quotes) + 1)
    })
}

/// The length of the rest of a list or an object, its closing bracket included. Only where strings end and how deep
/// brackets are nested is looked at.
pub(super) fn nested_length(text: &[u8]) -> Option<usize> {
    let (mut escapes, mut strings, mut depth) = (Escapes::default(), Strings::default(), 1);
    find(text, |block| {
        let quotes = block.is(b'"') & !escapes.escaped(block.is(b'\\'));
        let outside = !strings.within(quotes);
        let brackets = block.with(b'{' ^ b'[');
        let (opening, closing) = (brackets.is(b'{') & outside, brackets.is(b'}') & outside);
        if closing.count_ones() >= depth
            && let Some(end) = end_of(depth, opening, closing)
        {
            return Some(end + 1);
        }
        depth = depth + opening.count_ones() - closing.count_ones();
        None
    })
}

/// Where the bracket stands that closes the outermost of so many levels. That takes one closing bracket for each of
/// them and for each that is opened before it, so those are gone past that cannot be the last.
fn end_of(depth: u32, opening: u64, closing: u64) -> Option<usize> {
    let (mut left, mut number, mut wanted) = (closing, 1, depth);
    loop {
        while number < wanted {
            left &= left.wrapping_sub(1);
            number += 1;
        }
        if left == 0 {
            return None;
        }
        let before = (left & left.wrapping_neg()) - 1;
        wanted = depth + (opening & before).count_ones();
        if wanted == number {
            return Some(lowest(left));
        }
    }
}

fn lowest(bits: u64) -> usize {
    bits.trailing_zeros() as usize
}

/// Looks at a text block by block until something is found, and tells where. The last block is filled up with blanks.
fn find(text: &[u8], mut look: impl FnMut(Block) -> Option<usize>) -> Option<usize> {
    let mut rest = text;
    while !rest.is_empty() {
        let (block, after) = if let Some((block, after)) = rest.split_first_chunk() {
            (Block::new(block), after)
        } else {
            let mut filled = [b' '; 64];
            filled.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            (Block::new(&filled), &[][..])
        };
        if let Some(at) = look(block) {
            return Some(text.len() - rest.len() + at);
        }
        rest = after;
    }
    None
}

/// 64 bytes, with a bit of 64 for each.
#[derive(Clone, Copy)]
struct Block([u8x16; 4]);

impl Block {
    fn new(bytes: &[u8; 64]) -> Self {
        let (quarters, _) = bytes.as_chunks();
        let mut block = [u8x16::ZERO; 4];
        block.iter_mut().zip(quarters).for_each(|(own, quarter)| *own = u8x16::new(*quarter));
        Self(block)
    }

    /// Which bytes are this one.
    fn is(self, byte: u8) -> u64 {
        let [a, b, c, d] =
            self.0.map(|own| u64::from(own.simd_eq(u8x16::splat(byte)).to_bitmask()));
        a | b << 16 | c << 32 | d << 48
    }

    /// Sets a bit of every byte: brackets and braces differ in one.
    fn with(self, bit: u8) -> Self {
        Self(self.0.map(|own| own | u8x16::splat(bit)))
    }
}

/// Every other bit, from the second on.
const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;

/// Which bytes are escaped, from block to block.
#[derive(Default)]
struct Escapes {
    /// 1 if the first byte of the next block is.
    first: u64,
}

impl Escapes {
    /// The bytes behind a backslash that is not escaped itself.
    fn escaped(&mut self, backslashes: u64) -> u64 {
        if backslashes == 0 {
            return std::mem::take(&mut self.first);
        }
        // The codes are the backslashes that escape, every other one of a run from its first on, and the byte behind
        // a run of odd length: the subtraction runs through each as a borrow. The arithmetic is simdjson's
        // (`json_escape_scanner.h`).
        let beginning = backslashes & !self.first;
        let codes = ((beginning << 1 | ODD).wrapping_sub(beginning)) ^ ODD;
        let escaped = codes ^ (backslashes | self.first);
        self.first = (codes & backslashes) >> 63;
        escaped
    }
}

/// Which bytes are within strings, from block to block.
#[derive(Default)]
struct Strings {
    /// All bits are set if a string goes on.
    open: u64,
}

impl Strings {
    /// The bytes from a quote that opens to before the one that closes.
    fn within(&mut self, quotes: u64) -> u64 {
        let mut within = quotes;
        for distance in [1, 2, 4, 8, 16, 32] {
            within ^= within << distance;
        }
        within ^= self.open;
        self.open = 0_u64.wrapping_sub(within >> 63);
        within
    }
}

#[cfg(test)]
mod tests;
