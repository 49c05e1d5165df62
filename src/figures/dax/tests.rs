use super::*;

fn found(text: &str) -> Vec<String> {
    let shown = |it: Reference| match it.to {
        Target::Table(table) => table,
        Target::Column(table, column) => format!("{table}[{column}]"),
        Target::Measure(name) => format!("[{name}]"),
    };
    references(text).unwrap_or_else(|err| panic!("{text}: {err:?}")).into_iter().map(shown).collect()
}

fn refused(text: &str) -> (String, String) {
    let fault = references(text).expect_err(text);
    (fault.message, text[fault.span].to_owned())
}

#[test]
fn references_are_found_with_their_places() {
    assert_eq!(found("DIVIDE([Net sales] - 1, [Paid orders])"), ["[Net sales]", "[Paid orders]"]);
    assert_eq!(found("SUM('Order lines'[Net amount])"), ["Order lines[Net amount]"]);
    assert_eq!(found("COUNTROWS(FILTER(VALUES(Orders[Id]), [N] >= 2))"), ["Orders[Id]", "[N]"]);
    let text = "CALCULATE(COUNTROWS(Payments), Payments[Status] IN {\"a\", \"b\"} && NOT ISBLANK([X]))";
    assert_eq!(found(text), ["Payments", "Payments[Status]", "[X]"]);
    assert_eq!(found("RANKX(ALL(P[N]), [S], , DESC, Dense)"), ["P[N]", "[S]"]);
    assert_eq!(found("VAR a = MIN('Date'[Date]) VAR B = a RETURN b + a -- done"), ["Date[Date]"]);
    assert_eq!(found("\"it's \"\"so\"\"\" & [a]]b]"), ["[a]b]"]);
    assert_eq!(found("DATEADD('Date'[Date], -1, MONTH) /* a\nb */"), ["Date[Date]"]);
    let there = references("1 + Orders[Paid] ").expect("readable");
    assert_eq!(there[0].span, 4..16);
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    for (text, message, place) in [
        ("SUM(Orders[Net amount]", "expected `)`, found the end of the formula", "]"),
        ("SUM(Orders[Net amount]))", "expected the end of the formula, found `)`", ")"),
        ("SUMM(Orders[Net amount])", "there is no function `SUMM`", "SUMM"),
        ("[A] + * 2", "expected a value, found `*`", "*"),
        ("[A] [B]", "expected the end of the formula, found `[B]`", "[B]"),
        ("[A] +", "expected a value, found the end of the formula", "+"),
        ("SUM(Orders[Net", "a name in brackets begins here and does not end", "[Net"),
        ("\"a", "a text begins here and does not end", "\"a"),
        ("VAR a = 1", "expected `RETURN`, found the end of the formula", "1"),
        ("VAR = 1 RETURN 2", "expected the name of a variable, found `=`", "="),
        ("1 ; 2", "`;` means nothing in a formula", ";"),
        ("{1, 2", "expected `}`, found the end of the formula", "2"),
        ("SUM(ä", "expected `)`, found the end of the formula", "ä"),
        ("", "expected a value, found the end of the formula", ""),
    ] {
        assert_eq!(refused(text), (message.to_owned(), place.to_owned()), "{text}");
    }
}

#[test]
fn variables_end_with_their_formula() {
    assert_eq!(found("SUMX(T, VAR a = T[X] RETURN a) + a"), ["T", "T[X]", "a"], "outside it is a table");
}

#[test]
fn circles_are_found() {
    let of = |name: &str| -> Option<&'static [Reference]> {
        let text = match name {
            "a" => "[b] + [d]",
            "b" => "[c]",
            "c" => "[a]",
            "d" => "1",
            _ => return None,
        };
        Some(references(text).expect("readable").leak())
    };
    assert_eq!(circle(of, "a").expect("a circle"), ["a", "b", "c", "a"]);
    assert_eq!(circle(of, "d"), None);
}

#[test]
fn fields_are_columns_or_measures() {
    let column = |table: &str, name: &str| Some(Target::Column(table.into(), name.into()));
    assert_eq!(field("Date[Date]"), column("Date", "Date"));
    assert_eq!(field("'Order lines'[Net]"), column("Order lines", "Net"));
    assert_eq!(field("Net sales"), Some(Target::Measure("Net sales".into())));
    assert_eq!([field(""), field("[x]"), field("a["), field("a[]")], [None, None, None, None]);
}

#[test]
fn numbers_have_powers() {
    assert!(found("1e3 + 1.5E+3 - .5e-1 * 2").is_empty());
    assert_eq!(refused("1e + 1").1, "e");
    assert_eq!(refused("1.2.3").1, "1");
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    let deep = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(found(&deep(50)).is_empty());
    assert_eq!(refused(&deep(200_000)).0, "nested more than 100 deep");
    assert!(refused(&"NOT(".repeat(200_000)).0.starts_with("nested"));
}
