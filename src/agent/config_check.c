/* Rules that tie several keys together. */
#include "agent/config_internal.h"

#include <string.h>

static size_t line_of(const struct sup_reading *r, const char *path)
{
    const struct sup_key *key = sup_schema_find(path);
    size_t line = key != NULL ? r->lines[key - sup_schema] : 0;
    return line != 0 ? line : 1;
}

static bool given(const char *s)
{
    return s[0] != '\0';
}

/* One of two files without the other. */
static int check_pair(struct sup_reading *r, const char *a, const char *a_path, const char *b,
                      const char *b_path)
{
    if (given(a) == given(b))
        return SUP_OK;
    const char *have = given(a) ? a_path : b_path;
    return sup_config_refuse(r, line_of(r, have), have, "needs %s beside it: give both",
                             given(a) ? b_path : a_path);
}

static int check_admin(struct sup_reading *r)
{
    const struct sup_options *o = &r->out->options;
    int rc = check_pair(r, o->admin.tls_cert, "admin.tls.cert", o->admin.tls_key, "admin.tls.key");
    if (rc != SUP_OK)
        return rc;
    /* sockaddr_un.sun_path holds 108 bytes with the NUL. */
    if (strlen(o->admin.socket) > 107)
        return sup_config_refuse(r, line_of(r, "admin.socket"), "admin.socket",
                                 "longer than 107 bytes: use a shorter path");
    if (!given(o->admin.listen) || sup_is_loopback(o->admin.listen))
        return SUP_OK;
    const char *missing = !given(o->admin.tls_cert)      ? "admin.tls"
                          : !given(o->admin.tokens_file) ? "admin.tokens_file"
                                                         : NULL;
    if (missing == NULL)
        return SUP_OK;
    return sup_config_refuse(r, line_of(r, "admin.listen"), "admin.listen",
                             "\"%.100s\" can be reached from other machines but %s is missing: "
                             "give admin.tls and admin.tokens_file, or listen on 127.0.0.1",
                             o->admin.listen, missing);
}

static int check_sns(struct sup_reading *r)
{
    const struct sup_options *o = &r->out->options;
    if (o->sns_http.n_topics > 0 && !given(o->sns_http.listen))
        return sup_config_refuse(r, line_of(r, "sns_http.topics"), "sns_http.topics",
                                 "needs sns_http.listen beside it: give both");
    if (o->sns_http.n_topics == 0 && given(o->sns_http.listen))
        return sup_config_refuse(r, line_of(r, "sns_http.listen"), "sns_http.listen",
                                 "needs sns_http.topics beside it: name the topics to trust");
    return check_pair(r, o->sns_http.tls_cert, "sns_http.tls.cert", o->sns_http.tls_key,
                      "sns_http.tls.key");
}

static int check_plain(struct sup_reading *r, const char *url, size_t line, const char *key,
                       bool *needs_tls)
{
    if (!sup_is_plain_mesh_url(url)) {
        *needs_tls = true;
        return SUP_OK;
    }
    if (r->out->options.mesh.insecure)
        return SUP_OK;
    return sup_config_refuse(r, line, key,
                             "\"%.100s\" is not encrypted: use tls+tcp://, or set mesh.insecure: "
                             "true on a network of which you trust every machine",
                             url);
}

static int check_peers(struct sup_reading *r, bool *needs_tls)
{
    const struct sup_options *o = &r->out->options;
    for (size_t i = 0; i < o->mesh.n_peers; i++) {
        const struct sup_peer_options *peer = &o->mesh.peers[i];
        if (strcmp(peer->name, o->node) == 0)
            return sup_config_refuse(r, r->peer_lines[i], "mesh.peers[].name",
                                     "\"%s\" is this node itself: list the other nodes only",
                                     peer->name);
        int rc = check_plain(r, peer->url, r->peer_lines[i], "mesh.peers[].url", needs_tls);
        if (rc != SUP_OK)
            return rc;
    }
    return SUP_OK;
}

static int check_mesh(struct sup_reading *r)
{
    const struct sup_options *o = &r->out->options;
    bool needs_tls = false;
    int rc = check_plain(r, o->mesh.listen, line_of(r, "mesh.listen"), "mesh.listen", &needs_tls);
    if (rc == SUP_OK)
        rc = check_peers(r, &needs_tls);
    if (rc != SUP_OK || !needs_tls)
        return rc;
    static const char *const paths[] = {"mesh.tls.ca", "mesh.tls.cert", "mesh.tls.key"};
    const char *const files[] = {o->mesh.tls_ca, o->mesh.tls_cert, o->mesh.tls_key};
    for (size_t i = 0; i < 3; i++) {
        if (!given(files[i]))
            return sup_config_refuse(r, line_of(r, "mesh.listen"), paths[i],
                                     "is missing: give the file, as tls+tcp:// needs a CA, a "
                                     "certificate and its key");
    }
    return SUP_OK;
}

int sup_config_check_whole(struct sup_reading *r)
{
    r->out->options.mesh.enabled = r->mesh;
    int rc = check_admin(r);
    if (rc == SUP_OK)
        rc = check_sns(r);
    if (rc == SUP_OK && r->mesh)
        rc = check_mesh(r);
    return rc;
}
