//! A text as tokens: for what is looked up without a grammar.

use squawk_lexer::{LiteralKind, TokenKind, tokenize};
use std::ops::Range;

/// What a token is, as far as looking up needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A word without quotes, a keyword or not.
    Word,
    /// A name in quotes.
    Quoted,
    /// A string constant of any form.
    Constant,
    /// A string constant that does not end.
    Broken,
    /// `$1`.
    Parameter,
    Dot,
    Comma,
    Semicolon,
    /// `(` or `[`.
    Open,
    /// `)` or `]`.
    Close,
    /// Part of an operator.
    Operator,
    /// A number.
    Number,
    /// Everything else.
    Other,
}

/// A token and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
}

impl Token {
    /// True for that word, in any case.
    pub(crate) fn is(&self, text: &str, word: &str) -> bool {
        self.kind == Kind::Word
            && text.get(self.range.clone()).is_some_and(|own| own.eq_ignore_ascii_case(word))
    }

    /// True for one of those words.
    pub(crate) fn is_any(&self, text: &str, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(text, word))
    }

    /// True for what can name something.
    pub(crate) fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
    }
}

/// All tokens but blanks and comments.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut at = 0;
    let mut found = Vec::new();
    for token in tokenize(text) {
        let range = at..at + token.len as usize;
        at = range.end;
        if let Some(kind) = kind(token.kind) {
            found.push(Token { kind, range });
        }
    }
    found
}

fn kind(kind: TokenKind) -> Option<Kind> {
    Some(match kind {
        TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } | TokenKind::Eof => {
            return None;
        }
        TokenKind::Ident => Kind::Word,
        TokenKind::QuotedIdent { .. } => Kind::Quoted,
        TokenKind::Literal { kind } => match kind {
            LiteralKind::Str { terminated }
            | LiteralKind::NationalStr { terminated }
            | LiteralKind::EscStr { terminated }
            | LiteralKind::ByteStr { terminated }
            | LiteralKind::BitStr { terminated }
            | LiteralKind::UnicodeEscStr { terminated }
            | LiteralKind::DollarQuotedString { terminated } => {
                if terminated {
                    Kind::Constant
                } else {
                    Kind::Broken
                }
            }
            LiteralKind::Int { .. } | LiteralKind::Numeric { .. } => Kind::Number,
        },
        TokenKind::PositionalParam { .. } => Kind::Parameter,
        TokenKind::Dot => Kind::Dot,
        TokenKind::Comma => Kind::Comma,
        TokenKind::Semi => Kind::Semicolon,
        TokenKind::OpenParen | TokenKind::OpenBracket => Kind::Open,
        TokenKind::CloseParen | TokenKind::CloseBracket => Kind::Close,
        TokenKind::Plus
        | TokenKind::Minus
        | TokenKind::Tilde
        | TokenKind::Bang
        | TokenKind::At
        | TokenKind::Pound
        | TokenKind::Question
        | TokenKind::Or
        | TokenKind::And
        | TokenKind::Caret
        | TokenKind::Percent
        | TokenKind::Backtick
        | TokenKind::Lt
        | TokenKind::Gt
        | TokenKind::Eq
        | TokenKind::Slash
        | TokenKind::Star => Kind::Operator,
        _ => Kind::Other,
    })
}
