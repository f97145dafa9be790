#include "codec/mesh_summary_pb.h"
#include "codec/pb_arena.h"

#include <stdio.h>
#include <string.h>

/* A report without its differences is far smaller. */
#define REPORT_MAX 65536

static char *pb_string(const char *s)
{
    return (char *)(uintptr_t)s; /* protobuf-c does not write through strings */
}

static int pack(const ProtobufCMessage *msg, struct sup_buf *out, struct sup_err *err)
{
    sup_pb_pack(msg, out);
    return out->failed ? sup_err_set(err, out->failed, "message does not fit") : SUP_OK;
}

static int encode_ask(const struct sup_summary *s, struct sup_buf *out, struct sup_err *err)
{
    Supsync__Mesh__SummaryAsk pb = SUPSYNC__MESH__SUMMARY_ASK__INIT;

    pb.id = s->id;
    return pack(&pb.base, out, err);
}

int sup_mesh_summary_encode(enum sup_frame_type type, const struct sup_summary *s,
                            struct sup_buf *out, struct sup_err *err)
{
    Supsync__Mesh__Summary pb = SUPSYNC__MESH__SUMMARY__INIT;
    char *problems[SUP_SUMMARY_PROBLEMS_MAX];
    struct sup_buf report;
    int rc;

    if (type == SUP_FRAME_SUMMARY_ASK)
        return encode_ask(s, out, err);
    if (s->n_problems > SUP_SUMMARY_PROBLEMS_MAX)
        return sup_err_set(err, SUP_EINPUT, "cannot send: number of problems out of range");
    sup_buf_init(&report, REPORT_MAX);
    if (s->has_report)
        sup_report_encode(&s->report, &report);
    pb.id = s->id;
    pb.region = pb_string(s->region);
    pb.mode = pb_string(s->mode);
    pb.healthy = s->healthy;
    pb.converged = s->converged;
    pb.pending = s->pending;
    pb.failing = s->failing;
    pb.report = (ProtobufCBinaryData){.len = report.n, .data = report.p};
    for (size_t i = 0; i < s->n_problems; i++)
        problems[i] = pb_string(s->problems[i]);
    pb.n_problems = s->n_problems;
    pb.problems = problems;
    rc = report.failed ? sup_err_set(err, report.failed, "report does not fit")
                       : pack(&pb.base, out, err);
    sup_buf_fini(&report);
    return rc;
}

static void clean(char *s)
{
    for (; *s != '\0'; s++) {
        if (*s < ' ' || *s >= 0x7f)
            *s = '?';
    }
}

static void get_text(char *out, size_t n, const char *s)
{
    (void)snprintf(out, n, "%s", s);
    clean(out);
}

/* One that this program cannot read, because the peer's is newer, is as good as none: the link is
 * for more than reports. */
static void get_report(struct sup_slice bytes, struct sup_summary *out)
{
    out->has_report = bytes.n > 0 && sup_report_decode(bytes, &out->report, NULL) == SUP_OK;
    if (!out->has_report)
        return;
    clean(out->report.id);
    clean(out->report.region);
    clean(out->report.mode);
    clean(out->report.fuse);
    clean(out->report.error);
    sup_coverage_brief_texts(&out->report.coverage, clean);
}

void sup_mesh_summary_decode(enum sup_frame_type type, const ProtobufCMessage *pb,
                             struct sup_summary *out)
{
    const Supsync__Mesh__Summary *s = (const Supsync__Mesh__Summary *)pb;

    memset(out, 0, sizeof(*out));
    if (type == SUP_FRAME_SUMMARY_ASK) {
        out->id = ((const Supsync__Mesh__SummaryAsk *)pb)->id;
        return;
    }
    out->id = s->id;
    get_text(out->region, sizeof(out->region), s->region);
    get_text(out->mode, sizeof(out->mode), s->mode);
    out->healthy = s->healthy;
    out->converged = s->converged;
    out->pending = s->pending;
    out->failing = s->failing;
    for (size_t i = 0; i < s->n_problems && i < SUP_SUMMARY_PROBLEMS_MAX; i++)
        get_text(out->problems[out->n_problems++], sizeof(out->problems[0]), s->problems[i]);
    get_report(sup_slice_of(s->report.data, s->report.len), out);
}
