#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef sup_err_set

int sup_err_set(struct sup_err *err, int code, const char *fmt, ...)
{
    if (err == NULL)
        return code;
    /* By way of a copy, since an argument may be err->msg itself. */
    char msg[SUP_ERR_MSG_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    if (n < 0)
        msg[0] = '\0';
    err->code = code;
    memcpy(err->msg, msg, strlen(msg) + 1);
    return code;
}

int sup_err_prefix(struct sup_err *err, int code, const char *fmt, ...)
{
    if (err == NULL)
        return code;
    char msg[SUP_ERR_MSG_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    if (n < 0)
        return err->code;

    size_t used = strlen(msg);
    char whole[2 * SUP_ERR_MSG_MAX + 2];
    memcpy(whole, msg, used);
    memcpy(whole + used, ": ", 2);
    memcpy(whole + used + 2, err->msg, strlen(err->msg) + 1);
    whole[sizeof(err->msg) - 1] = '\0';
    memcpy(err->msg, whole, strlen(whole) + 1);
    return err->code;
}

const char *sup_code_name(int code)
{
    switch ((enum sup_code)code) {
    case SUP_OK:
        return "ok";
    case SUP_ENOTFOUND:
        return "not-found";
    case SUP_EAGAIN:
        return "try-again";
    case SUP_ETIMEDOUT:
        return "timed-out";
    case SUP_EINPUT:
        return "bad-input";
    case SUP_ELIMIT:
        return "past-limit";
    case SUP_EAUTH:
        return "refused";
    case SUP_EEXIST:
        return "exists";
    case SUP_EVERSION:
        return "unknown-version";
    case SUP_ECORRUPT:
        return "corrupt";
    case SUP_EIO:
        return "io";
    case SUP_ENOMEM:
        return "no-memory";
    case SUP_ECLOSED:
        return "closed";
    case SUP_EBUG:
        return "bug";
    }
    return "unknown-code";
}

int sup_code_is_transient(int code)
{
    return code == SUP_EAGAIN || code == SUP_ETIMEDOUT || code == SUP_EIO;
}
