//! Values of one stretch of time, summed up, and what statistics can be read from them. Pure.
//!
//! Percentiles are exact up to [`KEPT`] different values; beyond that, neighbours are merged. Of CloudWatch's extended
//! statistics there are percentiles (`p99`) and trimmed means (`tm90`).

/// How many different values are kept of one stretch.
const KEPT: usize = 200;

/// A statistic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stat {
    /// How many values.
    SampleCount,
    /// Their sum.
    Sum,
    /// Their mean.
    Average,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
    /// The value that so many percent do not exceed.
    Percentile(f64),
    /// The mean of the lowest so many percent.
    Trimmed(f64),
}

impl Stat {
    /// Reads a statistic's name; `None` where there is none of it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let percent = |digits: &str| {
            let plain = digits.starts_with(|it: char| it.is_ascii_digit());
            digits.parse().ok().filter(|it| plain && (0.0..=100.0).contains(it))
        };
        match text {
            "SampleCount" => Some(Self::SampleCount),
            "Sum" => Some(Self::Sum),
            "Average" => Some(Self::Average),
            "Minimum" => Some(Self::Minimum),
            "Maximum" => Some(Self::Maximum),
            _ => match (text.strip_prefix('p'), text.strip_prefix("tm")) {
                (Some(digits), _) => percent(digits).map(Self::Percentile),
                (None, Some(digits)) => percent(digits).map(Self::Trimmed),
                (None, None) => None,
            },
        }
    }
}

/// Values of one stretch of time, summed up.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Summary {
    count: f64,
    sum: f64,
    least: f64,
    most: f64,
    /// The values and how often each came, in their order.
    values: Vec<(f64, f64)>,
    /// Whether values are in the sums whose like is not in `values`.
    blind: bool,
}

impl Summary {
    /// Sums up one value.
    pub(crate) fn one(value: f64) -> Self {
        let mut it = Self::default();
        it.add(value, 1.0);
        it
    }

    /// Takes a set of statistics for values that nobody knows one by one.
    pub(crate) fn of_set(count: f64, sum: f64, least: f64, most: f64) -> Self {
        // Where all values are the same, they are known after all.
        let same = (most - least).abs() < f64::EPSILON;
        let values = if same { vec![(least, count)] } else { Vec::new() };
        Self { count, sum, least, most, values, blind: !same }
    }

    /// Adds a value that came so often.
    pub(crate) fn add(&mut self, value: f64, count: f64) {
        self.merge(&Self {
            count,
            sum: value * count,
            least: value,
            most: value,
            values: vec![(value, count)],
            blind: false,
        });
    }

    /// Adds the values of another stretch.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count <= 0.0 {
            return;
        }
        if self.count <= 0.0 {
            *self = other.clone();
            return;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
        self.blind |= other.blind;
        for (value, count) in &other.values {
            match self.values.binary_search_by(|it| it.0.total_cmp(value)) {
                Ok(at) => self.values.iter_mut().skip(at).take(1).for_each(|it| it.1 += count),
                Err(at) => self.values.insert(at, (*value, *count)),
            }
        }
        if self.values.len() > KEPT {
            self.values = thin(&self.values);
        }
    }

    /// Counts the values.
    pub(crate) fn count(&self) -> f64 {
        self.count
    }

    /// Reads a statistic; `None` where there are no values, or where a percentile cannot be told.
    pub(crate) fn get(&self, stat: Stat) -> Option<f64> {
        if self.count <= 0.0 {
            return None;
        }
        match stat {
            Stat::SampleCount => Some(self.count),
            Stat::Sum => Some(self.sum),
            Stat::Average => Some(self.sum / self.count),
            Stat::Minimum => Some(self.least),
            Stat::Maximum => Some(self.most),
            Stat::Percentile(_) | Stat::Trimmed(_) if self.blind => None,
            Stat::Percentile(percent) => {
                let rank = self.count * percent / 100.0;
                let mut seen = 0.0;
                let found = self.values.iter().find(|(_, count)| {
                    seen += count;
                    seen >= rank
                });
                Some(found.map_or(self.most, |it| it.0))
            }
            Stat::Trimmed(percent) => {
                let mut room = self.count * percent / 100.0;
                let all = room;
                let sum: f64 = self
                    .values
                    .iter()
                    .map(|(value, count)| {
                        let taken = count.min(room);
                        room -= taken;
                        value * taken
                    })
                    .sum();
                (all > 0.0).then(|| sum / all)
            }
        }
    }
}

/// Halves the number of values: each two neighbours become their mean. The first and the last stay.
fn thin(values: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let [first, inner @ .., last] = values else { return values.to_vec() };
    let merged = inner.chunks(2).map(|pair| {
        let count: f64 = pair.iter().map(|it| it.1).sum();
        (pair.iter().map(|(value, count)| value * count).sum::<f64>() / count, count)
    });
    std::iter::once(*first).chain(merged).chain(std::iter::once(*last)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read() {
        assert_eq!(Stat::parse("p99.9"), Some(Stat::Percentile(99.9)));
        assert_eq!(Stat::parse("tm90"), Some(Stat::Trimmed(90.0)));
        for none in ["p", "p101", "p-1", "average", "IQM", "p1e1x", "pinf"] {
            assert_eq!(Stat::parse(none), None, "{none}");
        }
    }

    #[test]
    fn a_set_whose_values_are_unknown_has_no_percentiles() {
        let mut it = Summary::of_set(4.0, 10.0, 1.0, 4.0);
        assert_eq!((it.get(Stat::Average), it.get(Stat::Percentile(50.0))), (Some(2.5), None));
        it.add(9.0, 1.0);
        assert_eq!((it.get(Stat::Maximum), it.get(Stat::Percentile(50.0))), (Some(9.0), None));
        assert_eq!(Summary::of_set(3.0, 6.0, 2.0, 2.0).get(Stat::Percentile(99.0)), Some(2.0));
        assert_eq!(Summary::default().get(Stat::Sum), None);
    }

    proptest! {
        #[test]
        fn statistics_are_those_of_the_values(values in prop::collection::vec(-1000_i32..1000, 1..150), percent in 1_u32..100) {
            let mut values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let half = values.len() / 2;
            let sum = |part: &[f64]| part.iter().fold(Summary::default(), |mut all, it| { all.add(*it, 1.0); all });
            let mut all = sum(&values[..half]);
            all.merge(&sum(&values[half..]));
            let total: f64 = values.iter().sum();
            prop_assert!((all.get(Stat::Sum).expect("a sum") - total).abs() < 1e-6);
            values.sort_by(f64::total_cmp);
            // The nearest rank, counted by hand.
            let rank = (values.len() * percent as usize).div_ceil(100).max(1);
            prop_assert_eq!(all.get(Stat::Percentile(f64::from(percent))), values.get(rank - 1).copied());
            prop_assert_eq!(all.get(Stat::Minimum), values.first().copied());
            prop_assert_eq!(all.get(Stat::Maximum), values.last().copied());
        }

        #[test]
        fn many_values_are_bounded_and_percentiles_stay_near(seed in any::<u32>()) {
            let value = |i: u32| f64::from((i.wrapping_mul(2_654_435_761) ^ seed) % 10_000);
            let mut values: Vec<f64> = (0..5000).map(value).collect();
            let mut all = Summary::default();
            values.iter().for_each(|it| all.add(*it, 1.0));
            // The values of some seeds lie off the middle, up to a tenth.
            values.sort_by(f64::total_cmp);
            let middle = values[2499];
            prop_assert!(all.values.len() <= KEPT);
            prop_assert!((all.values.iter().map(|it| it.1).sum::<f64>() - 5000.0).abs() < 1e-6);
            let median = all.get(Stat::Percentile(50.0)).expect("a median");
            prop_assert!((median - middle).abs() < 700.0, "{} instead of {}", median, middle);
        }
    }
}
