//! What is sold: the same products at the same prices whatever the seed, some far more popular than others.

use super::{
    dice::{Dice, Purpose},
    words::{ADJECTIVES, CATEGORIES},
};

/// How many products there are.
const PRODUCTS: u64 = 480;

/// A product.
#[derive(Clone, Debug)]
pub(super) struct Product {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) category: &'static str,
    /// In cents of a euro.
    pub(super) price: u64,
}

/// The products, most popular first.
#[derive(Debug)]
pub(super) struct Catalogue {
    products: Vec<Product>,
    /// The sums of the weights up to each product.
    shares: Vec<u64>,
}

impl Catalogue {
    pub(super) fn new() -> Self {
        let (mut products, mut shares, mut sum) = (Vec::new(), Vec::new(), 0);
        for rank in 0..PRODUCTS {
            let mut dice = Dice::new(0, Purpose::Product, rank);
            let category = dice.pick(&CATEGORIES);
            let (low, high) = category.prices;
            // Cheap things are more frequent: the lower of two rolls, ending in 9 as prices do.
            let price = dice.between(low, high).min(dice.between(low, high)).unsigned_abs() / 10 * 10 + 9;
            products.push(Product {
                id: format!("p-{:04}", rank + 1),
                name: format!("{} {}", dice.pick(&ADJECTIVES), dice.pick(&category.things)),
                category: category.name,
                price,
            });
            // Zipf's law: the n-th is bought a n-th as often as the first.
            sum += 1_000_000 / (rank + 1);
            shares.push(sum);
        }
        Self { products, shares }
    }

    /// One product, the popular ones more often.
    pub(super) fn pick(&self, dice: &mut Dice) -> &Product {
        let at = dice.below(self.shares.last().copied().unwrap_or(0));
        let place = self.shares.partition_point(|it| *it <= at);
        &self.products[place.min(self.products.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn few_products_make_most_of_the_sales() {
        let (catalogue, mut sold) = (Catalogue::new(), BTreeMap::<_, u32>::new());
        let mut dice = Dice::new(1, Purpose::Order, 0);
        for _ in 0..20_000 {
            *sold.entry(catalogue.pick(&mut dice).id.clone()).or_default() += 1;
        }
        let top: u32 = (1..=48).filter_map(|it| sold.get(&format!("p-{it:04}"))).sum();
        assert!((11_000..15_000).contains(&top), "a tenth of the products: {top} of 20000");
        assert!(sold.len() > 400, "but nearly all are sold at all: {}", sold.len());
    }

    #[test]
    fn prices_are_in_range() {
        for it in Catalogue::new().products {
            let range = CATEGORIES.iter().find(|category| category.name == it.category).expect("one of them").prices;
            assert!(
                it.price % 10 == 9 && it.price + 10 > range.0.unsigned_abs() && it.price < range.1.unsigned_abs() + 10
            );
        }
    }
}
