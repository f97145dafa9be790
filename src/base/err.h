#ifndef SUP_BASE_ERR_H
#define SUP_BASE_ERR_H

/* Errors: one code from one enum, plus a short text with its context.
 *
 * Every fallible function returns an int code (SUP_OK is 0) and takes a struct sup_err * that may
 * be NULL. A caller can always tell "not found", "try again", "your input" and "our bug" apart.
 * The text is not for parsing. No locks: a struct sup_err belongs to one thread at a time. */

enum sup_code {
    SUP_OK = 0,
    SUP_ENOTFOUND, /* what was asked for does not exist */
    SUP_EAGAIN,    /* passing trouble: the same call may succeed later */
    SUP_ETIMEDOUT, /* a deadline ran out; passing trouble as well */
    SUP_EINPUT,    /* the caller's or a peer's input is wrong; repeating it will not help */
    SUP_ELIMIT,    /* input or growth past a limit; repeating it will not help */
    SUP_EAUTH,     /* credentials or identity refused */
    SUP_EEXIST,    /* exists already, or is held by somebody else */
    SUP_EVERSION,  /* data or peer of a version that this program does not know */
    SUP_ECORRUPT,  /* stored or received bytes are damaged */
    SUP_EIO,       /* the operating system or a device failed */
    SUP_ENOMEM,    /* out of memory */
    SUP_ECLOSED,   /* the object was closed or is stopping */
    SUP_EBUG       /* an invariant of ours was broken */
};

#define SUP_ERR_MSG_MAX 512

struct sup_err {
    int code;
    char msg[SUP_ERR_MSG_MAX];
};

/* Sets code and formatted text (cut at the maximum); err may be NULL. Returns code, so that
 * "return sup_err_set(err, SUP_EINPUT, …)" reads as one step. */
int sup_err_set(struct sup_err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The analyzer of clang looks at one file at a time and would follow "it failed, with SUP_OK" from
 * every sup_err_set: here it is told what the function returns. */
#ifdef __clang_analyzer__
void sup_err_seen(struct sup_err *err, const char *fmt, ...); /* exists nowhere */
#define sup_err_set(err, code, ...) (sup_err_seen(err, __VA_ARGS__), (code))
#endif

/* Puts "prefix: " before the text that is there. Returns err's code, or code when err is NULL. */
int sup_err_prefix(struct sup_err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A stable lower-case word for a code, such as "not-found"; never NULL. */
const char *sup_code_name(int code);

/* Is it worth repeating the call later? True for EAGAIN, ETIMEDOUT, EIO. */
int sup_code_is_transient(int code);

#endif
