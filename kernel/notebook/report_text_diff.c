/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/report_text.h"

#define ROWS_MAX 80 /* of one diff that are shown */
#define WIDE_COLUMNS 140 /* of a terminal with room for two sides */
#define LINE_ROWS_MAX 40 /* of the terminal, for one row */
#define LINE_COLUMNS_MAX 2000 /* of a line that is not broken */
#define INDENT 4
#define MARK_COLUMNS 2
#define GAP_COLUMNS 3

/* The pieces of one line that are left to be put. */
struct piece {
    const struct text_paper *paper;
    struct slice text;
    size_t at; /* byte of TEXT */
    const struct sides_span *spans;
    size_t span_count;
    size_t side;
    bool is_change;
};

static bool
is_inside(const struct piece *piece, size_t at)
{
    for (size_t i = 0; i < piece->span_count; i++) {
        if (at >= piece->spans[i].begin && at < piece->spans[i].end)
            return true;
    }
    return false;
}

static const char *
style_of(const struct piece *piece, bool inside)
{
    const struct text_look *look = piece->paper->look;

    if (!piece->is_change)
        return look->faint;
    return inside ? look->parts[piece->side] : look->sides[piece->side];
}

/* As much as fits into COLUMNS, at least one character. Returns the columns it takes. */
static unsigned
put_piece(struct piece *piece, unsigned columns)
{
    struct ink *ink = piece->paper->ink;
    unsigned column = 0;
    bool inside = is_inside(piece, piece->at);

    ink_text(ink, style_of(piece, inside));
    while (piece->at < piece->text.length) {
        struct slice rest = { piece->text.data + piece->at,
                              piece->text.length - piece->at };
        struct text_glyph glyph;
        bool is_next_inside = is_inside(piece, piece->at);

        text_glyph_read(&glyph, rest, column);
        if (column > 0 && column + glyph.width > columns)
            break;
        if (is_next_inside != inside) {
            inside = is_next_inside;
            ink_format(ink, "%s%s", piece->paper->look->end, style_of(piece, inside));
        }
        ink_slice(ink, (struct slice){ (const uint8_t *)glyph.text, glyph.length });
        column += glyph.width;
        piece->at += glyph.bytes;
    }
    ink_text(ink, piece->paper->look->end);
    return column;
}

static struct piece
make_piece(const struct text_paper *paper, const struct sides_row *row, size_t side,
           const struct sides_changes *changes)
{
    return (struct piece){
        .paper = paper,
        .text = row->text[side],
        .spans = changes->spans[side],
        .span_count = changes->counts[side],
        .side = side,
        .is_change = sides_is_change(row),
    };
}

/* One line behind its mark. Only its beginning, if it is longer than anybody reads. */
static void
put_one_line(const struct text_paper *paper, const struct sides_row *row, size_t side)
{
    static const char marks[SIDES_COUNT] = { '-', '+' };
    struct sides_changes changes;
    struct piece piece;

    sides_compare(&changes, row);
    piece = make_piece(paper, row, side, &changes);
    ink_format(paper->ink, "%*s%s%c %s", INDENT, "",
               piece.is_change ? paper->look->sides[side] : paper->look->faint,
               piece.is_change ? marks[side] : ' ', paper->look->end);
    put_piece(&piece, LINE_COLUMNS_MAX);
    if (piece.at < piece.text.length)
        ink_format(paper->ink, " ... %zu more bytes", piece.text.length - piece.at);
    ink_text(paper->ink, "\n");
}

static void
put_left_out(const struct text_paper *paper, const struct sides_row *row)
{
    ink_format(paper->ink, "%*s%s  ... ", INDENT, "", paper->look->faint);
    text_put_line(paper->ink, row->text[0]);
    ink_format(paper->ink, "%s\n", paper->look->end);
}

static bool
has_side(const struct sides_row *row, size_t side)
{
    return row->mark != (side == SIDES_EXPECTED ? '+' : '-');
}

/* Of each run of changes first what was expected, then what came. */
static void
put_unified(const struct text_paper *paper, const struct sides *sides, size_t count)
{
    for (size_t i = 0, end; i < count; i = end) {
        end = i + 1;
        if (sides->rows[i].mark == '.') {
            put_left_out(paper, &sides->rows[i]);
            continue;
        }
        if (!sides_is_change(&sides->rows[i])) {
            put_one_line(paper, &sides->rows[i], SIDES_EXPECTED);
            continue;
        }
        while (end < count && sides_is_change(&sides->rows[end]))
            end++;
        for (size_t side = 0; side < SIDES_COUNT; side++) {
            for (size_t at = i; at < end; at++) {
                if (has_side(&sides->rows[at], side))
                    put_one_line(paper, &sides->rows[at], side);
            }
        }
    }
}

static void
put_row(const struct text_paper *paper, const struct sides_row *row, unsigned width)
{
    static const char *const marks[SIDES_COUNT] = { "- ", "+ " };
    struct ink *ink = paper->ink;
    struct sides_changes changes;
    struct piece pieces[SIDES_COUNT];
    bool more = true;

    sides_compare(&changes, row);
    for (size_t side = 0; side < SIDES_COUNT; side++)
        pieces[side] = make_piece(paper, row, side, &changes);
    for (unsigned lines = 0; more && ink->failure == 0 && lines < LINE_ROWS_MAX;
         lines++) {
        more = false;
        ink_repeat(ink, ' ', INDENT);
        for (size_t side = 0; side < SIDES_COUNT; side++) {
            bool marked = lines == 0 && sides_is_change(row) && has_side(row, side);
            unsigned used;

            ink_format(ink, "%s%s%s", paper->look->sides[side],
                       marked ? marks[side] : "  ", paper->look->end);
            used = put_piece(&pieces[side], width);
            more = more || pieces[side].at < pieces[side].text.length;
            if (side == SIDES_EXPECTED) {
                ink_repeat(ink, ' ', used < width ? width - used : 0);
                ink_format(ink, " %s|%s ", paper->look->faint, paper->look->end);
            }
        }
        ink_text(ink, "\n");
    }
    if (more)
        ink_format(ink, "%*s  ... the line is longer\n", INDENT, "");
}

static void
put_two_sides(const struct text_paper *paper, const struct sides *sides, size_t count)
{
    unsigned taken = INDENT + GAP_COLUMNS + 2 * MARK_COLUMNS;
    unsigned width = (paper->columns - taken) / SIDES_COUNT;

    for (size_t i = 0; i < count; i++) {
        if (sides->rows[i].mark == '.')
            put_left_out(paper, &sides->rows[i]);
        else
            put_row(paper, &sides->rows[i], width);
    }
}

void
text_put_diff(const struct text_paper *paper, const json_t *lines)
{
    CLEANUP(sides_fini) struct sides sides = { 0 };
    size_t count;
    int r = sides_read(&sides, lines);

    if (r != 0) {
        paper->ink->failure = r;
        return;
    }
    count = sides.count < ROWS_MAX ? sides.count : ROWS_MAX;
    if (paper->columns >= WIDE_COLUMNS)
        put_two_sides(paper, &sides, count);
    else
        put_unified(paper, &sides, count);
    if (count < sides.count)
        ink_format(paper->ink, "%*s%s  ... %zu more rows%s\n", INDENT, "",
                   paper->look->faint, json_array_size(lines) - count, paper->look->end);
}
