//! Single mistakes, sown into the files of the project: each is refused, with its place.

use super::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum In {
    Layout,
    Figures,
}

/// Where, what is replaced by what, what is said, and what stands at the place that is named.
const DEFECTS: &[(In, &str, &str, &str, &str)] = {
    use In::{Figures, Layout};
    &[
        // Tables and columns.
        (Layout, "of = \"daily_sales\"", "of = \"daily_sale\"", "there is no table `daily_sale`", "\"daily_sale\""),
        (Layout, "name = \"Orders\"", "name = \"sales\"", "there are two tables `sales`", "\"sales\""),
        (Layout, "name = \"net_amount\"", "name = \"net\"", "table `order_facts` has no column `net`", "\"net\""),
        (
            Layout,
            "{ name = \"units\", hidden = true },",
            "{ name = \"currency\" },",
            "there are two columns `currency`",
            "\"currency\"",
        ),
        (Layout, "name = \"Products\"", "name = \"Prod[ucts\"", "`Prod[ucts` is no name of a table", "\"Prod[ucts\""),
        (Layout, "name = \"Products\"", "name = \"../Products\"", "cannot be the name of a file", "\"../Products\""),
        (Layout, "name = \"Products\"", "name = \"Pro\\nducts\"", "is no name of a table", "\"Pro"),
        (Layout, "home = \"Figures\"", "home = \"a:b\"", "cannot be the name of a file", "\"a:b\""),
        (Layout, "format = \"yyyy-mm\"", "format = \"0\\n\\tisHidden\"", "a format is one line", "\"0"),
        (Layout, "category = \"Country\"", "category = \"Contry\"", "unknown variant `Contry`", "\"Contry\""),
        (
            Layout,
            "columns = [{ name = \"Currency\", type = \"text\", key = true }]",
            "columns = [{ name = \"Currency\", type = \"text\", key = true }, { name = \"currency\", type = \"text\" }]",
            "there are two columns `currency`",
            "\"currency\"",
        ),
        (Layout, "hidden = true }", "hiden = true }", "unknown field `hiden`", "hiden"),
        (Layout, "type = \"date\"", "type = \"day\"", "unknown variant `day`", "\"day\""),
        (Layout, "dates = true\n", "dates = true\nextra = 1\n", "unknown field `extra`", "extra"),
        (
            Layout,
            "type = \"date\", key = true",
            "type = \"date\"",
            "the table of dates needs a date as its key",
            "\"Date\"",
        ),
        (
            Layout,
            "MIN(Sales[Order date])",
            "MIN(Sales[Order day])",
            "table `Sales` has no column `Order day`",
            "Sales[Order day]",
        ),
        (Layout, "SELECTCOLUMNS(Payments,", "SELECTCOLUMNS(Payment,", "there is no table `Payment`", "Payment,"),
        // Formulas.
        (Figures, "SUM(Sales[Net sales]))", "SUM(Sales[Net sales])", "expected `)`", ")"),
        (Figures, "SUM(Sales[Paid orders])", "SUMM(Sales[Paid orders])", "there is no function `SUMM`", "SUMM"),
        (Figures, "SUM(Sales[Orders])", "SUM(Sales[Order])", "table `Sales` has no column `Order`", "Sales[Order]"),
        (Figures, "SUM(Products[Units])", "SUM(Product[Units])", "there is no table `Product`", "Product["),
        (Figures, "COUNTROWS(Customers)'''", "COUNTROWS(Customer)'''", "there is no table `Customer`", "Customer)"),
        (
            Figures,
            "DIVIDE([Net sales], [Paid orders])",
            "DIVIDE([Net sale], [Paid orders])",
            "there is no measure `Net sale`",
            "[Net sale]",
        ),
        (
            Figures,
            "SUM(Payments[Failed])",
            "[Payment failure rate]",
            "measures need each other in a circle",
            "'''DIVIDE([Payments failed]",
        ),
        (
            Figures,
            "title = \"Net sales by customer\"",
            "title = \"Net Sales\"",
            "the title `Net Sales` is taken",
            "\"Net Sales\"",
        ),
        (
            Figures,
            "<= {stale_after}, \"fresh\"",
            "<= {stale_after}, \"fresh",
            "a text begins here and does not end",
            "'''",
        ),
        (
            Figures,
            "SUM(Payments[Refunded])",
            "SUM(Payments[Refunded]) SUM(Payments[Failed])",
            "expected the end of the formula",
            "SUM(Payments[Failed])",
        ),
        (Figures, "format = \"moment\"", "format = \"time\"", "unknown variant `time`", "\"time\""),
        (Figures, "SUM(Products[Units])", "SUM(ä", "expected `)`, found the end of the formula", "ä'''"),
        (Figures, "title = \"New customers\"", "title = \"New\\tones\"", "is no name of a measure", "\"New"),
        // Joins.
        (
            Layout,
            "from = \"Orders[Customer id]\"",
            "from = \"Orders[Customer]\"",
            "table `Orders` has no column `Customer`",
            "\"Orders[Customer]\"",
        ),
        (
            Layout,
            "to = \"Customers[Customer id]\"",
            "to = \"Clients[Customer id]\"",
            "there is no table `Clients`",
            "\"Clients",
        ),
        (
            Layout,
            "to = \"Customers[Customer id]\"",
            "to = \"Customers[Country]\"",
            "values of Customers[Country] are not unique",
            "\"Customers[Country]\"",
        ),
        (
            Layout,
            "from = \"Payments[Payment date]\"",
            "from = \"Payments[Method]\"",
            "they never match",
            "\"Payments[Method]\"",
        ),
        (
            Layout,
            "from = \"Payments[Currency]\"",
            "from = \"Sales[Currency]\"",
            "`Sales` and `Currency` are joined already",
            "\"Sales[Currency]\"",
        ),
        (
            Layout,
            "from = \"Payments[Currency]\"",
            "from = \"Currency\"",
            "is not of the form `Table[Column]`",
            "\"Currency\"",
        ),
        (
            Layout,
            "from = \"Products[Currency]\"\nto = \"Currency[Currency]\"",
            "from = \"Customers[First order date]\"\nto = \"Date[Date]\"",
            "two ways from `Date` to `Orders`",
            "\"Customers[First order date]\"",
        ),
        // Pages and visuals.
        (
            Layout,
            "\"Orders[Country]\", \"Net",
            "\"Orders[Land]\", \"Net",
            "visual `sales/countries`: table `Orders` has no column `Land`",
            "\"Orders[Land]\"",
        ),
        (
            Layout,
            "Y = [\"New customers\"]",
            "Y = [\"New clients\"]",
            "there is no measure `New clients`",
            "\"New clients\"",
        ),
        (
            Layout,
            "Y = [\"Payment failure rate\"]",
            "Y = [\"Payments[Failed]\"]",
            "its role `Y` takes a measure",
            "\"Payments[Failed]\"",
        ),
        (
            Layout,
            "Category = [\"Customers[Segment]\"]",
            "Category = [\"Customers\"]",
            "its role `Category` takes a column",
            "\"Customers\"",
        ),
        (Layout, "Rows = [\"Cohorts", "Lines = [\"Cohorts", "has no role `Lines`", "\"Cohorts"),
        (
            Layout,
            "{ Category = [\"Payments[Method]\"], Y",
            "{ Y",
            "needs a field in its role `Category`",
            "\"outcomes\"",
        ),
        (Layout, "kind = \"matrix\"", "kind = \"map\"", "unknown variant `map`", "\"map\""),
        (
            Layout,
            "at = [860, 242]",
            "at = [900, 242]",
            "visual `customers/new_customers` reaches beyond the page",
            "[900, 242]",
        ),
        (Layout, "size = [1240, 210]", "size = [1240, 0]", "visual `customers/cohorts` has no size", "[1240, 0]"),
        (Layout, "at = [440, 242]", "at = [400, 242]", "visual `customers/rfm` covers `segments`", "[400, 242]"),
        (Layout, "name = \"countries\"", "name = \"products\"", "there are two visuals `products`", "\"products\""),
        (
            Layout,
            "name = \"countries\"",
            "name = \"the countries\"",
            "`the countries` is no name of a visual",
            "\"the countries\"",
        ),
        (Layout, "name = \"pipeline\"", "name = \"sales\"", "there are two pages `sales`", "\"sales\""),
        (
            Layout,
            "by = \"Amount failed\"",
            "by = \"Payments failed\"",
            "is sorted by `Payments failed`, which it does not show",
            "\"Payments failed\"",
        ),
        (
            Layout,
            "at = [860, 242]",
            "at = [2147483647, 242]",
            "visual `customers/new_customers` reaches beyond the page",
            "[2147483647, 242]",
        ),
        (
            Layout,
            "\"Net sales\", \"Net sales, average of 7 days\"",
            "\"Net sales\", \"Net sales\"",
            "visual `sales/trend` shows `Net sales` twice",
            "\"Net sales\"]",
        ),
        (
            Layout,
            "size = [440, 72]\nfields = { Values = [\"Date[Date]\"] }",
            "size = [440, 72]\nfields = { Values = [\"Orders[Channel]\"] }",
            "visual `customers/days` is not that of page `sales`",
            "\"days\"",
        ),
        (Layout, "title = \"Payments and pipeline\"", "title = \" \"", "page `pipeline` has no title", "\" \""),
        (Layout, "title = \"Methods\"", "title = \"\"", "visual `pipeline/methods` has no title", "\"\""),
        (Layout, "name = \"figures\"\nkind", "name = \"figures\"\nsingle = true\nkind", "is no slicer", "\"figures\""),
        (Layout, "\"Net sales by customer\", ", "\"Net[sales\", ", "`Net[sales` is no field", "\"Net[sales\""),
    ]
};

/// What stands at `file:line:column`.
fn standing<'a>(at: &str, text: &'a str) -> &'a str {
    let mut numbers = at.rsplitn(3, ':').map(|it| it.parse::<usize>().unwrap_or_default());
    let (column, line) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let begin: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    text.get(begin + column.saturating_sub(1)..).unwrap_or_default()
}

#[test]
fn every_mistake_is_refused_with_its_place() {
    assert!(DEFECTS.len() >= 30);
    let mut missed = Vec::new();
    for (file, from, to, said, place) in DEFECTS {
        let spoil = |text: &str, of: In| {
            if *file != of {
                return text.to_owned();
            }
            assert!(text.contains(from), "{from} is not there");
            text.replacen(from, to, 1)
        };
        let (layout, figures) = (spoil(LAYOUT, In::Layout), spoil(FIGURES, In::Figures));
        let found = mistakes(&layout, &figures, |_| ());
        let (text, name) = if *file == In::Layout { (&layout, "layout.toml:") } else { (&figures, "figures.toml:") };
        let is_it = |it: &&Mistake| {
            it.message.contains(said) && it.at.starts_with(name) && standing(&it.at, text).starts_with(place)
        };
        if found.iter().find(is_it).is_none() {
            missed.push(format!("{to}: {:?}", found.iter().map(ToString::to_string).collect::<Vec<_>>()));
        }
    }
    assert!(missed.is_empty(), "\n{}\n", missed.join("\n"));
}

#[test]
fn a_column_that_is_renamed_in_the_lake_breaks_what_is_named() {
    let rename = |table: &'static str, from: &'static str| {
        move |lake: &mut BTreeMap<String, design::LakeTable>| {
            let columns = &mut lake.get_mut(table).expect("a table").columns;
            columns.iter_mut().find(|it| it.name == from).expect("a column").name = format!("{from}_2");
        }
    };
    let told = |found: Vec<Mistake>| found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let found = told(mistakes(LAYOUT, FIGURES, rename("daily_sales", "net_sales")));
    assert!(
        found.contains("figures.toml:") && found.contains("`Net sales`: table `Sales` has no column `Net sales`"),
        "{found}"
    );
    assert!(found.contains("it breaks the visuals sales/figures, sales/trend"), "{found}");
    let found = told(mistakes(LAYOUT, FIGURES, rename("payment_outcomes", "method")));
    assert!(found.contains("visual `pipeline/outcomes`: table `Payments` has no column `Method`"), "{found}");
    assert!(found.contains("visual `pipeline/methods`"), "{found}");
}

#[test]
fn a_type_that_power_bi_lacks_is_refused() {
    let found = mistakes(LAYOUT, FIGURES, |lake| {
        lake.get_mut("daily_sales").expect("a table").columns[2].kind = "array<string>".into();
    });
    assert!(found.iter().any(|it| it.message.contains("no type for `array<string>`")), "{found:?}");
}

#[test]
fn a_model_asks_one_database() {
    let found = mistakes(LAYOUT, FIGURES, |lake| {
        lake.get_mut("product_sales").expect("a table").database = "elsewhere".into();
    });
    let told: Vec<&str> = found.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(told, ["table `product_sales` lies in database `elsewhere`"]);
}
