//! A gzip stream without compression, so that an answer can claim to be compressed.

/// Wraps bytes in gzip, stored as they are.
pub(super) fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];
    let mut blocks = bytes.chunks(0xFFFF).peekable();
    if blocks.peek().is_none() {
        out.extend([1, 0, 0, 0xFF, 0xFF]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(crc32(bytes).to_le_bytes());
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend(length.to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            let feedback = if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
            (crc >> 1) ^ feedback
        })
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_well_known_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn a_short_text_is_one_last_stored_block() {
        let packed = stored(b"{}");
        assert_eq!(packed[..10], [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF]);
        assert_eq!(packed[10..17], [1, 2, 0, 0xFD, 0xFF, b'{', b'}']);
        assert_eq!(packed.len(), 10 + 5 + 2 + 8);
        let long = stored(&[7; 70_000]);
        assert_eq!(long[10], 0);
        assert_eq!(long.len(), 10 + 2 * 5 + 70_000 + 8);
    }
}
