//! How many connections an RDS instance for PostgreSQL allows, by its class. Pure.
//!
//! RDS sets `max_connections` to `LEAST({DBInstanceClassMemory/9531392}, 5000)` ("Maximum number of database connections" in
//! the Amazon RDS user guide); the memory of the classes is that of "Hardware specifications for DB instance classes" there.
//! RDS takes some of the memory for itself, so that the real limit is a few per cent lower than what this tells.

/// The memory of the smallest full size, `large`, by family, in GiB; each size above has twice as much.
const LARGE: [(&str, u64); 18] = [
    ("m5", 8),
    ("m5d", 8),
    ("m6g", 8),
    ("m6gd", 8),
    ("m6i", 8),
    ("m6id", 8),
    ("m7g", 8),
    ("m7i", 8),
    ("m8g", 8),
    ("r5", 16),
    ("r6g", 16),
    ("r6gd", 16),
    ("r6i", 16),
    ("r7g", 16),
    ("r7i", 16),
    ("r8g", 16),
    ("x2g", 32),
    ("c6gd", 4),
];
/// The memory of the small classes, in GiB.
const SMALL: [(&str, u64); 6] =
    [("micro", 1), ("small", 2), ("medium", 4), ("large", 8), ("xlarge", 16), ("2xlarge", 32)];
/// What the formula divides the memory by.
const BYTES_EACH: u64 = 9_531_392;
const MOST: u64 = 5000;

/// Returns how many connections a class such as `db.m7g.large` allows; `None` where the class is not known.
pub(super) fn connections(class: &str) -> Option<u64> {
    let (family, size) = class.strip_prefix("db.")?.split_once('.')?;
    let gibibytes = match family {
        "t3" | "t4g" => SMALL.iter().find(|it| it.0 == size)?.1,
        _ => LARGE.iter().find(|it| it.0 == family)?.1 * times_large(size)?,
    };
    Some(((gibibytes << 30) / BYTES_EACH).min(MOST))
}

fn times_large(size: &str) -> Option<u64> {
    match size {
        "large" => Some(1),
        "xlarge" => Some(2),
        _ => size.strip_suffix("xlarge")?.parse::<u64>().ok().filter(|it| (2..=48).contains(it)).map(|it| it * 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_over_the_documented_divisor() {
        assert_eq!(connections("db.t4g.micro"), Some(112));
        assert_eq!(connections("db.m7g.large"), Some(901));
        assert_eq!(connections("db.r6g.large"), Some(1802));
        assert_eq!(connections("db.m7g.2xlarge"), Some(3604));
        assert_eq!(connections("db.r6g.16xlarge"), Some(5000), "never more");
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for class in ["db.z1d.large", "m7g.large", "db.m7g", "db.m7g.huge", "db.t4g.9xlarge", "db.m7g.0xlarge", ""] {
            assert_eq!(connections(class), None, "{class}");
        }
    }
}
