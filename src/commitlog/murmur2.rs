//! Murmur2 as Kafka's Java client computes it, and the partition that it gives a key.
//!
//! Called by both logs when a record names no partition, so that a Java producer, librdkafka (`murmur2_random`) and
//! fluxmill put one device into the same partition. Nothing here is random: a record without a key has the empty key.

const SEED: u32 = 0x9747_b28c;
const MULTIPLIER: u32 = 0x5bd1_e995;
const SHIFT: u32 = 24;

/// The partition of a key in a topic of so many partitions (at least one).
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    // Kafka clears the sign bit instead of taking the absolute value: the latter has no answer for the smallest int.
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

/// The 32-bit murmur2 hash with Kafka's seed; as a Java `int` it is the same bits, signed.
pub fn murmur2(bytes: &[u8]) -> u32 {
    // Java's array lengths are ints, so the length is folded in as 32 bits.
    let mut hash = SEED ^ bytes.len() as u32;
    let (words, tail) = bytes.as_chunks::<4>();
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        mixed ^= mixed >> SHIFT;
        hash = hash.wrapping_mul(MULTIPLIER) ^ mixed.wrapping_mul(MULTIPLIER);
    }
    if !tail.is_empty() {
        for (place, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that Kafka's own `UtilsTest.testMurmur2` lists (Java ints).
    #[test]
    fn agrees_with_the_values_of_kafkas_java_tests() {
        let published: [(&str, i32); 6] = [
            ("21", -973932308),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            ("abc", 479470107),
        ];
        for (key, expected) in published {
            assert_eq!(murmur2(key.as_bytes()) as i32, expected, "key {key:?}");
        }
    }

    /// The values that librdkafka's `unittest_murmur2` lists, which it took from the Java client.
    #[test]
    fn agrees_with_the_values_of_librdkafkas_tests() {
        let published: [(&str, u32); 7] = [
            ("kafka", 0xd067_cf64),
            ("giberish123456789", 0x8f55_2b0c),
            ("1234", 0x9fc9_7b14),
            ("234", 0xe7c0_09ca),
            ("34", 0x8739_30da),
            ("4", 0x5a4b_5ca1),
            ("", 0x106e_08d9),
        ];
        for (key, expected) in published {
            assert_eq!(murmur2(key.as_bytes()), expected, "key {key:?}");
        }
    }

    #[test]
    fn a_negative_hash_gives_a_partition_too() {
        // toPositive(-973932308) = -973932308 & 0x7fffffff = 1173551340; 1173551340 mod 10 = 0, mod 7 = 3.
        assert_eq!(partition_of(b"21", 10), 0);
        assert_eq!(partition_of(b"21", 7), 3);
    }
}
