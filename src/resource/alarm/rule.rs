//! The rule of an alarm that stands for others. Pure.
//!
//! Syntax: `PutCompositeAlarm` in CloudWatch's API reference.

/// Writes a rule that holds while each group has an alarm that goes off.
pub(super) fn write(groups: Vec<Vec<String>>) -> String {
    let several = groups.len() > 1;
    let group = |names: Vec<String>| {
        let any = names.iter().map(|it| format!("ALARM(\"{it}\")")).collect::<Vec<_>>().join(" OR ");
        if several && names.len() > 1 { format!("({any})") } else { any }
    };
    groups.into_iter().map(group).collect::<Vec<_>>().join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_each_group() {
        let rule = |groups: &[&[&str]]| {
            write(groups.iter().map(|it| it.iter().map(|it| (*it).to_owned()).collect()).collect())
        };
        assert_eq!(rule(&[&["a"]]), r#"ALARM("a")"#);
        assert_eq!(rule(&[&["a", "b"]]), r#"ALARM("a") OR ALARM("b")"#);
        assert_eq!(rule(&[&["a", "b"], &["c"]]), r#"(ALARM("a") OR ALARM("b")) AND ALARM("c")"#);
    }
}
