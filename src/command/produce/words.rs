//! Made-up names: of people and of things. Lists only.

/// A country that is sold to: its code, its currency, that currency's worth as hundredths per euro, its share of the
/// customers, and its time zone's usual distance from UTC in minutes.
pub(super) struct Country {
    pub(super) code: &'static str,
    pub(super) currency: &'static str,
    pub(super) per_euro: u64,
    pub(super) offset: i32,
}

const fn country(code: &'static str, currency: &'static str, per_euro: u64, offset: i32) -> Country {
    Country { code, currency, per_euro, offset }
}

pub(super) const COUNTRIES: [(u64, Country); 14] = [
    (24, country("DE", "EUR", 100, 120)),
    (14, country("FR", "EUR", 100, 120)),
    (14, country("GB", "GBP", 86, 60)),
    (10, country("US", "USD", 109, -240)),
    (7, country("ES", "EUR", 100, 120)),
    (6, country("IT", "EUR", 100, 120)),
    (5, country("NL", "EUR", 100, 120)),
    (5, country("PL", "PLN", 430, 120)),
    (4, country("SE", "SEK", 1130, 120)),
    (3, country("AT", "EUR", 100, 120)),
    (3, country("CH", "CHF", 95, 120)),
    (2, country("DK", "DKK", 746, 120)),
    (2, country("IE", "EUR", 100, 60)),
    (1, country("IN", "INR", 9100, 330)),
];

/// The channels, by their share of the orders.
pub(super) const CHANNELS: [(u64, &str); 4] = [(46, "web"), (38, "mobile"), (9, "marketplace"), (7, "store")];

/// The ways to pay, by their share of the orders.
pub(super) const METHODS: [(u64, &str); 5] =
    [(44, "card"), (28, "paypal"), (13, "wallet"), (11, "bank_transfer"), (4, "cash_on_delivery")];

/// Why payments fail.
pub(super) const FAILURES: [(u64, &str); 5] = [
    (40, "insufficient_funds"),
    (25, "card_declined"),
    (15, "authentication_failed"),
    (12, "expired_card"),
    (8, "processor_unavailable"),
];

/// A category: its name, the nouns of its products, and the range of their prices in cents of a euro.
pub(super) struct Category {
    pub(super) name: &'static str,
    pub(super) things: [&'static str; 6],
    pub(super) prices: (i64, i64),
}

const fn category(name: &'static str, things: [&'static str; 6], prices: (i64, i64)) -> Category {
    Category { name, things, prices }
}

pub(super) const CATEGORIES: [Category; 10] = [
    category("electronics", ["Headphones", "Speaker", "Charger", "Keyboard", "Webcam", "Tablet"], (1_499, 39_900)),
    category("books", ["Novel", "Atlas", "Cookbook", "Biography", "Comic", "Guidebook"], (599, 4_500)),
    category("clothing", ["T-Shirt", "Sweater", "Jacket", "Jeans", "Scarf", "Socks"], (499, 14_900)),
    category("home", ["Lamp", "Cushion", "Blanket", "Mirror", "Shelf", "Vase"], (799, 12_900)),
    category("kitchen", ["Pan", "Knife", "Kettle", "Mug", "Toaster", "Bowl"], (599, 11_900)),
    category("toys", ["Puzzle", "Train", "Kite", "Building Set", "Doll", "Board Game"], (699, 7_900)),
    category("sports", ["Yoga Mat", "Dumbbell", "Bottle", "Backpack", "Racket", "Helmet"], (899, 18_900)),
    category("beauty", ["Soap", "Shampoo", "Perfume", "Hand Cream", "Brush", "Candle"], (299, 8_900)),
    category("garden", ["Planter", "Secateurs", "Hose", "Bird House", "Lantern", "Rake"], (499, 9_900)),
    category("groceries", ["Coffee", "Tea", "Olive Oil", "Honey", "Chocolate", "Pasta"], (199, 2_900)),
];

pub(super) const ADJECTIVES: [&str; 16] = [
    "Amber", "Bold", "Calm", "Classic", "Compact", "Eco", "Fine", "Golden", "Lunar", "Nordic", "Prime", "Quiet",
    "Royal", "Solid", "Urban", "Velvet",
];

pub(super) const FIRST_NAMES: [&str; 32] = [
    "Ada",
    "Aleksander",
    "Amélie",
    "Anna",
    "Ben",
    "Björn",
    "Camille",
    "Chloé",
    "Clara",
    "David",
    "Elif",
    "Emil",
    "Freya",
    "Giulia",
    "Hannah",
    "Ida",
    "Jakob",
    "José",
    "Karin",
    "Lena",
    "Łukasz",
    "Maja",
    "Mateo",
    "Noah",
    "Nora",
    "Oliver",
    "Priya",
    "Ravi",
    "Sofía",
    "Tom",
    "Wiktoria",
    "Zoë",
];

pub(super) const LAST_NAMES: [&str; 32] = [
    "Andersen",
    "Bauer",
    "Bernard",
    "Brown",
    "Bianchi",
    "Dubois",
    "Eriksson",
    "Fischer",
    "García",
    "Hansen",
    "Huber",
    "Jansen",
    "Johnson",
    "Kaya",
    "Keller",
    "Kowalska",
    "Lindqvist",
    "López",
    "Martin",
    "Meyer",
    "Moreau",
    "Müller",
    "Nowak",
    "O'Brien",
    "Patel",
    "Petit",
    "Rossi",
    "Schneider",
    "Sharma",
    "Smith",
    "de Vries",
    "Wójcik",
];

pub(super) const MAIL_DOMAINS: [&str; 4] = ["example.com", "example.org", "example.net", "mail.example"];
