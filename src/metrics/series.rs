//! The series of a family, each looked up once in its life.
//!
//! To look one up takes a lock and hashes its labels' values. What counts requests does neither: where all values come from
//! closed sets, a series has a place.

use std::fmt::{self, Debug, Formatter};
use std::marker::PhantomData;
use std::sync::OnceLock;

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::label::Label;

/// Counters by these labels.
pub type Counters<L> = Series<IntCounterVec, L>;

/// Gauges by these labels.
pub type Gauges<L> = Series<IntGaugeVec, L>;

/// Histograms by these labels.
pub type Histograms<L> = Series<HistogramVec, L>;

/// A family of series.
pub trait Family: Collector + Clone {
    /// One of them.
    type One: Debug + Send + Sync;
    /// The one of these values.
    fn look_up(&self, values: &[&str]) -> Self::One;
}

/// Values of several labels, or of one.
pub trait Labels: Copy {
    /// How many combinations there are.
    const COUNT: usize;
    /// This combination's place among all.
    fn place(self) -> usize;
    /// The values.
    fn values(self) -> Vec<&'static str>;
}

/// The series of a family that share the values of all labels but these.
pub struct Series<V: Family, L> {
    family: V,
    shared: Vec<String>,
    places: Box<[OnceLock<V::One>]>,
    labels: PhantomData<fn(L)>,
}

impl<V: Family, L: Labels> Series<V, L> {
    /// All of a family.
    pub fn all(family: V) -> Self {
        Self::of(&family, &[])
    }

    /// Those that have these values for the first labels.
    pub fn of(family: &V, shared: &[&str]) -> Self {
        let places = std::iter::repeat_with(OnceLock::new).take(L::COUNT).collect();
        let shared = shared.iter().map(|value| (*value).to_owned()).collect();
        Self { family: family.clone(), shared, places, labels: PhantomData }
    }

    /// The one of these values. It is not exported before it is first asked for.
    #[expect(clippy::indexing_slicing, reason = "a place is below the count, for all labels")]
    pub fn at(&self, labels: L) -> &V::One {
        self.places[labels.place()].get_or_init(|| {
            let shared = self.shared.iter().map(String::as_str);
            self.family.look_up(&shared.chain(labels.values()).collect::<Vec<_>>())
        })
    }
}

impl<V: Family, L> Debug for Series<V, L> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Series").field("shared", &self.shared).finish_non_exhaustive()
    }
}

macro_rules! families {
    ($($family:ident: $one:ident),+) => { $(
        impl Family for $family {
            type One = $one;

            fn look_up(&self, values: &[&str]) -> $one {
                self.with_label_values(values)
            }
        }
    )+ };
}

families! { IntCounterVec: IntCounter, IntGaugeVec: IntGauge, HistogramVec: Histogram }

impl<A: Label> Labels for A {
    const COUNT: usize = A::COUNT;

    fn place(self) -> usize {
        Label::place(self)
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.as_str()]
    }
}

impl<A: Label, B: Label> Labels for (A, B) {
    const COUNT: usize = A::COUNT * B::COUNT;

    fn place(self) -> usize {
        Label::place(self.0) * B::COUNT + Label::place(self.1)
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.0.as_str(), self.1.as_str()]
    }
}

impl<A: Label, B: Label, C: Label> Labels for (A, B, C) {
    const COUNT: usize = A::COUNT * B::COUNT * C::COUNT;

    fn place(self) -> usize {
        (self.0, self.1).place() * C::COUNT + Label::place(self.2)
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.0.as_str(), self.1.as_str(), self.2.as_str()]
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Opts;

    use super::super::label::{Class, Code, Method};
    use super::*;

    #[test]
    fn a_series_has_the_values_of_its_place_and_none_is_exported_before() {
        let family = IntCounterVec::new(Opts::new("n", "h"), &["app", "method", "code"]).unwrap();
        let series = Counters::<(Method, Code)>::of(&family, &["a"]);
        assert!(family.collect().first().unwrap().get_metric().is_empty());
        series.at((Method::Put, Code::Conflict)).inc();
        series.at((Method::Put, Code::Conflict)).inc();
        series.at((Method::Other, Code::Other)).inc();
        assert_eq!(family.with_label_values(&["a", "PUT", "409"]).get(), 2);
        assert_eq!(family.with_label_values(&["a", "other", "other"]).get(), 1);
        assert_eq!(family.collect().first().unwrap().get_metric().len(), 2);
    }

    #[test]
    fn no_two_combinations_share_a_place() {
        let (methods, codes) = ([Method::Get, Method::Other], [Code::Ok, Code::Other]);
        let classes = [Class::Informational, Class::ServerError];
        let mut places: Vec<_> = methods
            .into_iter()
            .flat_map(|method| codes.map(|code| classes.map(|class| (method, code, class))))
            .flatten()
            .map(Labels::place)
            .collect();
        let most = *places.iter().max().unwrap();
        places.sort_unstable();
        places.dedup();
        assert_eq!((places.len(), most + 1), (8, <(Method, Code, Class)>::COUNT));
    }
}
