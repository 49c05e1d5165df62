//! The syntax of metric math: text to a tree. Knows no values.

use super::MathError;

/// How deep an expression may be nested.
const DEEPEST: usize = 64;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::local::gateway::cloudwatch) enum Expr {
    /// A number.
    Number(f64),
    /// A text, for functions that take one.
    Text(String),
    /// The identifier of a metric or an expression, or a function's keyword.
    Name(String),
    /// A list.
    List(Vec<Self>),
    /// A negative.
    Negative(Box<Self>),
    /// Two operands.
    Binary(Operator, Box<Self>, Box<Self>),
    /// A function.
    Call(String, Vec<Self>),
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::local::gateway::cloudwatch) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    And,
    Or,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Text(String),
    Name(String),
    Operator(Operator),
    Mark(char),
}

impl Expr {
    /// Reads an expression.
    pub(in crate::local::gateway::cloudwatch) fn parse(text: &str) -> Result<Self, MathError> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, at: 0, end: text.chars().count() + 1, depth: 0 };
        let expr = parser.binary(0)?;
        match parser.tokens.get(parser.at) {
            None => Ok(expr),
            Some(_) => Err(parser.wrong("an operator is expected")),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, MathError> {
    let chars: Vec<char> = text.chars().collect();
    let wrong = |at: usize, what: &str| MathError::Syntax { at: at + 1, what: what.to_owned() };
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = chars.get(at) {
        let next = chars.get(at + 1);
        let run = |wanted: &dyn Fn(char) -> bool| chars.iter().skip(at).take_while(|it| wanted(**it)).count();
        let (token, length) = match first {
            it if it.is_whitespace() => {
                at += 1;
                continue;
            }
            it if it.is_ascii_digit() || (*it == '.' && next.is_some_and(char::is_ascii_digit)) => {
                let mut length = run(&|it| it.is_ascii_digit() || it == '.');
                if chars.get(at + length).is_some_and(|it| matches!(it, 'e' | 'E')) {
                    let signed = usize::from(chars.get(at + length + 1).is_some_and(|it| matches!(it, '+' | '-')));
                    let digits = chars.iter().skip(at + length + 1 + signed).take_while(|it| it.is_ascii_digit());
                    length += match digits.count() {
                        0 => 0,
                        digits => 1 + signed + digits,
                    };
                }
                let digits: String = chars.iter().skip(at).take(length).collect();
                (Token::Number(digits.parse().map_err(|_| wrong(at, "this is not a number"))?), length)
            }
            it if it.is_ascii_alphabetic() => {
                let length = run(&|it| it.is_ascii_alphanumeric() || it == '_');
                let name: String = chars.iter().skip(at).take(length).collect();
                let token = match name.as_str() {
                    "AND" => Token::Operator(Operator::And),
                    "OR" => Token::Operator(Operator::Or),
                    _ => Token::Name(name),
                };
                (token, length)
            }
            quote @ ('"' | '\'') => {
                let inside: String = chars.iter().skip(at + 1).take_while(|it| *it != quote).collect();
                let length = inside.chars().count();
                chars.get(at + 1 + length).ok_or_else(|| wrong(at, "the text has no end"))?;
                (Token::Text(inside), length + 2)
            }
            '(' | ')' | '[' | ']' | ',' => (Token::Mark(*first), 1),
            _ => {
                let operator = operator(*first, next.copied());
                let (operator, length) = operator.ok_or_else(|| wrong(at, "this character means nothing here"))?;
                (Token::Operator(operator), length)
            }
        };
        tokens.push((at + 1, token));
        at += length;
    }
    Ok(tokens)
}

fn operator(first: char, next: Option<char>) -> Option<(Operator, usize)> {
    Some(match (first, next) {
        ('=', Some('=')) => (Operator::Equal, 2),
        ('!', Some('=')) => (Operator::Unequal, 2),
        ('<', Some('=')) => (Operator::AtMost, 2),
        ('>', Some('=')) => (Operator::AtLeast, 2),
        ('&', Some('&')) => (Operator::And, 2),
        ('|', Some('|')) => (Operator::Or, 2),
        ('<', _) => (Operator::Less, 1),
        ('>', _) => (Operator::Greater, 1),
        ('+', _) => (Operator::Add, 1),
        ('-', _) => (Operator::Subtract, 1),
        ('*', _) => (Operator::Multiply, 1),
        ('/', _) => (Operator::Divide, 1),
        ('^', _) => (Operator::Power, 1),
        _ => return None,
    })
}

/// How tightly an operator binds.
fn level(operator: Operator) -> u8 {
    match operator {
        Operator::Or => 0,
        Operator::And => 1,
        Operator::Equal
        | Operator::Unequal
        | Operator::Less
        | Operator::AtMost
        | Operator::Greater
        | Operator::AtLeast => 2,
        Operator::Add | Operator::Subtract => 3,
        Operator::Multiply | Operator::Divide => 4,
        Operator::Power => 5,
    }
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    end: usize,
    depth: usize,
}

impl Parser<'_> {
    /// Reads operands joined by operators that bind at least this tightly.
    fn binary(&mut self, least: u8) -> Result<Expr, MathError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.wrong("it is nested too deeply"));
        }
        let mut left = self.unary()?;
        while let Some((_, Token::Operator(operator))) = self.tokens.get(self.at) {
            let level = level(*operator);
            if level < least {
                break;
            }
            self.at += 1;
            // Powers are grouped from the right, everything else from the left.
            let right = self.binary(if *operator == Operator::Power { level } else { level + 1 })?;
            left = Expr::Binary(*operator, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, MathError> {
        if self.tokens.get(self.at).is_some_and(|it| it.1 == Token::Operator(Operator::Subtract)) {
            self.at += 1;
            return Ok(Expr::Negative(Box::new(self.binary(level(Operator::Power))?)));
        }
        self.operand()
    }

    fn operand(&mut self) -> Result<Expr, MathError> {
        let Some((_, token)) = self.tokens.get(self.at) else { return Err(self.wrong("something is missing")) };
        self.at += 1;
        match token {
            Token::Number(it) => Ok(Expr::Number(*it)),
            Token::Text(it) => Ok(Expr::Text(it.clone())),
            Token::Name(name) if self.take('(') => Ok(Expr::Call(name.to_ascii_uppercase(), self.list(')')?)),
            Token::Name(name) => Ok(Expr::Name(name.clone())),
            Token::Mark('[') => Ok(Expr::List(self.list(']')?)),
            Token::Mark('(') => {
                let inner = self.binary(0)?;
                if self.take(')') { Ok(inner) } else { Err(self.wrong("`)` is missing")) }
            }
            Token::Mark(_) | Token::Operator(_) => {
                self.at -= 1;
                Err(self.wrong("a number, a metric or a function is expected"))
            }
        }
    }

    /// Reads what stands between commas, up to the mark that ends it.
    fn list(&mut self, end: char) -> Result<Vec<Expr>, MathError> {
        let mut items = Vec::new();
        if self.take(end) {
            return Ok(items);
        }
        loop {
            items.push(self.binary(0)?);
            if self.take(end) {
                return Ok(items);
            }
            if !self.take(',') {
                return Err(self.wrong(&format!("`,` or `{end}` is expected")));
            }
        }
    }

    fn take(&mut self, mark: char) -> bool {
        let there = self.tokens.get(self.at).is_some_and(|it| it.1 == Token::Mark(mark));
        self.at += usize::from(there);
        there
    }

    fn wrong(&self, what: &str) -> MathError {
        MathError::Syntax { at: self.tokens.get(self.at).map_or(self.end, |it| it.0), what: what.to_owned() }
    }
}
