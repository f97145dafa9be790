/* The table of subcommands and their help. */
#include "cli/cli.h"

#include <string.h>

#define COMMON                                                                                     \
    "  --output text|json   how to print (default text)\n"                                         \
    "  --socket PATH        the agent's socket (default: SUPSYNC_SOCKET, else\n"                   \
    "                       /run/supsync/admin.sock)\n"                                            \
    "  -v, --verbose        say more\n"                                                            \
    "  -h, --help           this text\n"                                                           \
    "  --                   ends options: an address may begin with \"-\"\n"

const struct sup_command sup_commands[] = {
    {"agent", "--config FILE", "run the agent in the foreground",
     "Runs the agent of one Region. SIGTERM and SIGINT drain and stop it, SIGHUP reloads the log\n"
     "settings, the token file and the peers of the mesh. Under systemd use Type=notify.\n\n"
     "Options:\n  --config FILE        the configuration (YAML)\n\n"
     "Exit status:\n  0 clean stop, 1 trouble at start or drain, 2 bad configuration\n\n"
     "Example:\n  supsync agent --config /etc/supsync.yaml\n",
     sup_cmd_agent},
    {"config", "check --config FILE", "validate a configuration and print what is in effect",
     "Reads the configuration as the agent would and prints it with all defaults.\n\n"
     "Options:\n  --config FILE        the configuration (YAML)\n\n"
     "Exit status:\n  0 fine, 2 bad configuration (file, line and key are named)\n\n"
     "Example:\n  supsync config check --config /etc/supsync.yaml\n",
     sup_cmd_config},
    {"check", "ADDRESS...|-", "may these addresses be mailed?",
     "Says allow, block or unknown for each address. \"-\" reads addresses from standard input,\n"
     "one a line.\n\n"
     "Options:\n" COMMON "\n"
     "Exit status:\n  0 all allowed, 1 any blocked, 3 any unknown or no agent, 2 wrong usage\n\n"
     "Examples:\n  supsync check someone@example.com\n"
     "  supsync check --output json - < addresses.txt\n",
     sup_cmd_check},
    {"suppress", "ADDRESS...|- --reason R --note TEXT", "suppress addresses in every Region",
     "Records an operator's decision; every Region's SES list follows.\n\n"
     "Options:\n"
     "  --reason R           bounce, complaint or manual\n"
     "  --note TEXT          why, for those who ask later\n"
     "  --expires DURATION   ends by itself, such as 12h or 30d (default: never)\n" COMMON "\n"
     "Exit status:\n  0 all done, 1 any refused, 3 no agent, 2 wrong usage\n\n"
     "Example:\n  supsync suppress a@example.com --reason manual --note \"asked by phone\"\n",
     sup_cmd_suppress},
    {"clear", "ADDRESS...|- --note TEXT [--force]", "end suppressions in every Region",
     "Clears what is recorded of the addresses, everywhere, in every spelling.\n\n"
     "Options:\n"
     "  --note TEXT          why, for those who ask later\n"
     "  --force              clear complaints, too\n" COMMON "\n"
     "Exit status:\n  0 all done, 1 any refused (a complaint without --force, no address),\n"
     "  3 no agent, 2 wrong usage\n\n"
     "Example:\n  supsync clear a@example.com --note \"mailbox exists again, ticket 4711\"\n",
     sup_cmd_clear},
    {"show", "ADDRESS", "everything that is known of an address",
     "Shows the current decisions, every decision ever taken with its evidence, and what the\n"
     "Region's SES list holds.\n\n"
     "Options:\n" COMMON "\n"
     "Exit status:\n  0 known, 1 not known or not an address, 3 no agent, 2 wrong usage\n\n"
     "Example:\n  supsync show a@example.com\n",
     sup_cmd_show},
    {"list", "[FILTER...]", "the set, sorted by address",
     "Options:\n"
     "  --domain D           only this domain\n"
     "  --reason R           bounce or complaint\n"
     "  --state S            suppressed or cleared\n"
     "  --since T            decided at or after T: a time such as 2026-01-31T12:00:00Z, or how\n"
     "                       long ago, such as 7d\n"
     "  --until T            decided before T\n"
     "  --region R           with evidence from this Region\n"
     "  --limit N            at most N rows\n" COMMON "\n"
     "Exit status:\n  0 all printed, 3 no agent or cut off, 2 wrong usage\n\n"
     "Examples:\n  supsync list --state suppressed --domain example.com\n"
     "  supsync list --since 24h --output json | jq -r .address\n",
     sup_cmd_list},
    {"reconcile", "[--dry-run [--save FILE]|--plan FILE]",
     "compare the Region's SES list with the set, and mend it",
     "Reads the whole list, plans, adopts what SES or people changed there, writes what is "
     "missing\n"
     "or to go, and waits for the result.\n\n"
     "Options:\n"
     "  --dry-run            only plan: differences, API calls, seconds\n"
     "  --save FILE          with --dry-run: write the plan into a new file\n"
     "  --plan FILE          apply that plan of this agent and nothing else; refused, and nothing\n"
     "                       is written, if an address of it is no longer as the plan saw "
     "it\n" COMMON "\n"
     "Exit status:\n  0 converged, 1 differences remain or the plan is refused, 3 no agent or the\n"
     "  list cannot be read,\n"
     "  2 wrong usage\n\n"
     "Examples:\n  supsync reconcile --dry-run --save plan.ndjson\n"
     "  supsync reconcile --plan plan.ndjson\n",
     sup_cmd_reconcile},
    {"report", "[--last|--id ID|--all-regions] [--format F]", "what a reconciliation found and did",
     "Options:\n"
     "  --last               the newest one (default)\n"
     "  --id ID              that one\n"
     "  --all-regions        every Region of the mesh, as its agent says now; one that does not\n"
     "                       answer within 3 s is unknown, with what it last said\n"
     "  --format F           text, json, csv (differences, or Regions) or html (one page)\n" COMMON
     "\n"
     "Exit status:\n  0 printed, 3 no such report or no agent, 2 wrong usage\n\n"
     "Examples:\n  supsync report --format html > report.html\n"
     "  supsync report --all-regions\n",
     sup_cmd_report},
    {"fuse", "show|confirm|decline", "the fuse against mass changes of the SES list",
     "When more entries vanish from the list than ses.fuse allows, nothing follows from that "
     "until\n"
     "somebody decides. confirm: the next runs do what ses.on_external_removal says. decline: "
     "they\n"
     "do not; with propagate, the entries are put back instead.\n\n"
     "Options:\n" COMMON "\n"
     "Exit status:\n  0 fine, 1 tripped (show) or nothing to decide, 3 no agent, 2 wrong usage\n\n"
     "Example:\n  supsync fuse confirm\n",
     sup_cmd_fuse},
    {"audit-coverage", "[--cached]", "where a list entry suppresses, and where it does not",
     "Asks SES what the account, each configuration set and each tenant say of suppression: an\n"
     "entry of the account's list counts only for the reasons that are effective for a mail, and\n"
     "only where SES looks at that list. Changes nothing.\n\n"
     "Options:\n"
     "  --cached            what the last audit found (at start, every ses.scan_interval, and\n"
     "                      with each supsync reconcile), without asking SES\n" COMMON "\n"
     "Exit status:\n  0 covered, 1 gaps, 3 not all is known, no agent, or SES cannot be asked,\n"
     "  2 wrong usage\n\n"
     "Example:\n  supsync audit-coverage\n",
     sup_cmd_audit_coverage},
    {"status", "", "how the node, its peers and its queues are",
     "Options:\n" COMMON "\n"
     "Exit status:\n  0 healthy, 1 unhealthy, 3 no agent, 2 wrong usage\n\n"
     "Example:\n  supsync status\n",
     sup_cmd_status},
    {"decommission", "NODE [--note TEXT] [--undo]", "a node of the mesh is gone for good",
     "From then on this agent neither dials nor accepts the node, keeps no log for it and does "
     "not\n"
     "wait for it. Taking a peer out of the configuration alone does none of this. Run it on "
     "every\n"
     "remaining node.\n\n"
     "Options:\n"
     "  --note TEXT          why, for those who ask later\n"
     "  --force              although it has decisions that this node has not got\n"
     "  --undo               it is a member again\n" COMMON "\n"
     "Exit status:\n  0 done, 1 refused (unknown, done already, needs --force), 3 no agent,\n"
     "  2 wrong usage\n\n"
     "Example:\n  supsync decommission ap-south-1 --note \"Region closed, ticket 4711\"\n",
     sup_cmd_decommission},
    {"soft", "[--due|--claim N [--lease D]|--ack ID...] [--format csv|json]",
     "soft bounces for resending",
     "Without options: all that wait. A claim gives entries that are due to one worker for the "
     "time\n"
     "of its lease; --ack with the ids that the claim printed says that they were resent or given\n"
     "up. What is not acknowledged is due again when the lease ends. Addresses that are "
     "suppressed\n"
     "by then are dropped. An entry has what a resend needs: message id, source, subject (if SES "
     "is\n"
     "told to include headers), message tags, configuration set, tenant, recipient, sub type, "
     "status\n"
     "and diagnostic text; in CSV the tags are one column of JSON.\n\n"
     "Options:\n"
     "  --due                only what is due\n"
     "  --claim N            claim at most N that are due\n"
     "  --lease DURATION     for how long (default 10m)\n"
     "  --ack ID...          acknowledge\n"
     "  --format csv|json    for other programs\n" COMMON "\n"
     "Exit status:\n  0 done, 1 any id not there or not yours, 3 no agent, 2 wrong usage\n\n"
     "Example:\n  supsync soft --claim 100 --format json\n",
     sup_cmd_soft},
    {"events", "[FILTER...] | export DIR", "the event log: what came in and what followed from it",
     "Kept only with events.retention in the configuration. Printed by the events' own time, "
     "oldest\n"
     "first; as JSON one object a line, with the event as it came. \"export DIR\" writes these "
     "lines to\n"
     "files of an hour in folders of a day, DIR/dt=2026-11-24/NODE-2026-11-24T07.json.gz, as "
     "Athena and\n"
     "others read them: whole hours that ended an hour ago; a file that is there is not written "
     "again.\n\n"
     "Options:\n"
     "  --address A          about this address\n"
     "  --type T             Bounce, Complaint, Delivery, Send ...\n"
     "  --message-id ID      of this mail\n"
     "  --since T            at or after T: a time, or how long ago, such as 7d\n"
     "  --until T            before T\n"
     "  --limit N            at most N\n"
     "  --compress C         export: gzip (default), zstd or none\n"
     "  --replace            export: write files again that are there; what the log has dropped\n"
     "                       meanwhile is not in them any more\n" COMMON "\n"
     "Exit status:\n  0 all printed or written, 3 no agent, cut off or not writable, 2 wrong "
     "usage\n\n"
     "Examples:\n  supsync events --address a@example.com --since 2d\n"
     "  supsync events export /var/export && aws s3 sync /var/export s3://my-bucket/ses-events\n",
     sup_cmd_events},
    {"rates", "[--domains] [--limit N]", "bounce and complaint rates, as SES may see them",
     "Hard bounces and complaints over sends of the last hour, day and week, and of the last "
     "1000,\n"
     "10000 and 100000 sends, for the Region, configuration sets and sending identities. Needs "
     "Send\n"
     "events. An estimate; what is left out is told. SES asks for less than 2 % bounces, reviews\n"
     "at 5 %, may pause at 10 %; complaints: 0.1 % and 0.5 %.\n\n"
     "Options:\n"
     "  --domains            domains of recipients, too\n"
     "  --limit N            at most N names of a kind (default 20)\n" COMMON "\n"
     "Exit status:\n  0 below review, 1 at review or pause, 3 no agent, 2 wrong usage\n\n"
     "Example:\n  supsync rates\n",
     sup_cmd_rates},
    {"ingest", "FILE|DIR|s3://BUCKET/PREFIX|- ... [--resume FILE]",
     "backfill archived events through the agent",
     "Reads events from files, folders (in order of their names), objects in Amazon S3 and "
     "standard\n"
     "input, plain, gzip or zstd, JSON documents in a row as Firehose leaves them in S3, and hands "
     "them "
     "to\n"
     "the agent. S3 is asked with the credentials of this command's environment, as AWS's own "
     "tools\n"
     "find them (s3:ListBucket on the bucket, s3:GetObject on its objects). Events keep\n"
     "their own time, so nothing that is newer is undone, and what was seen before is not taken\n"
     "twice. Memory does not grow with the files. What cannot be read is named with its position\n"
     "(bytes in the inflated file) and does not stop the rest.\n\n"
     "Options:\n"
     "  --resume FILE        keep a journal there, and go on where it ends\n"
     "  --region R           of the bucket; S3 says it by itself\n" COMMON "\n"
     "Exit status:\n  0 all taken, 1 something refused, 3 a file cannot be read to its end, or no "
     "agent,\n  2 wrong usage\n\n"
     "Examples:\n  supsync ingest --resume backfill.journal /archive/2026\n"
     "  supsync ingest --resume s3.journal s3://bucket/ses/2026/11/\n",
     sup_cmd_ingest},
    {"explain", "FILE...|- [--config FILE]", "what would be decided for events, and by which rule",
     "Reads events offline, without an agent, and prints for each recipient the verdict and the\n"
     "rule that made it. Files hold JSON documents in a row, plain, gzip or zstd, in any of the\n"
     "envelopes that supsync knows (SNS, EventBridge, Lambda and Firehose records). Positions are\n"
     "byte offsets in the inflated file.\n\n"
     "Options:\n"
     "  --config FILE        take the policy (section ingest) from this configuration\n" COMMON "\n"
     "Exit status:\n  0 all read, 1 any event refused, 3 a file cannot be read, 2 wrong usage\n\n"
     "Examples:\n  supsync explain bounce.json\n"
     "  aws s3 cp s3://bucket/2026/11/24/07/x.gz - | supsync explain --output json -\n",
     sup_cmd_explain},
    {"version", "", "the program's version", "Options:\n" COMMON, sup_cmd_version},
    {"help", "[COMMAND]", "this overview, or help on a command", "Example:\n  supsync help check\n",
     sup_cmd_help},
};
const size_t sup_commands_len = sizeof(sup_commands) / sizeof(sup_commands[0]);

static const struct sup_command *find(const char *name)
{
    for (size_t i = 0; i < sup_commands_len; i++) {
        if (strcmp(sup_commands[i].name, name) == 0)
            return &sup_commands[i];
    }
    return NULL;
}

#define NAME_MAX_LEN 24

/* Levenshtein's distance, row by row. Names are short. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_LEN + 1];
    size_t nb = strlen(b);
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    return row[nb];
}

static const char *nearest(const char *name)
{
    const char *best = NULL;
    size_t best_distance = 4;
    if (strlen(name) > NAME_MAX_LEN)
        return NULL;
    for (size_t i = 0; i < sup_commands_len; i++) {
        size_t d = distance(name, sup_commands[i].name);
        if (d < best_distance) {
            best_distance = d;
            best = sup_commands[i].name;
        }
    }
    return best;
}

static int unknown_command(const char *name)
{
    const char *near = nearest(name);
    if (near != NULL)
        return sup_cli_error(SUP_EXIT_USAGE, "%.40s: no such command: did you mean \"%s\"?", name,
                             near);
    return sup_cli_error(SUP_EXIT_USAGE, "%.40s: no such command: see supsync help", name);
}

int sup_cli_help(const char *name)
{
    if (name == NULL) {
        printf("supsync makes an Amazon SES suppression hold in every Region.\n\n"
               "Usage: supsync COMMAND [OPTION...]\n\nCommands:\n");
        for (size_t i = 0; i < sup_commands_len; i++)
            printf("  %-10s %s\n", sup_commands[i].name, sup_commands[i].summary);
        printf("\n\"supsync help COMMAND\" says more about one.\n");
        return SUP_EXIT_OK;
    }
    const struct sup_command *c = find(name);
    if (c == NULL)
        return unknown_command(name);
    printf("Usage: supsync %s%s%s\n\n%s.\n\n%s", c->name, *c->usage ? " " : "", c->usage,
           c->summary, c->help);
    return SUP_EXIT_OK;
}

int sup_cli_main(int argc, char **argv)
{
    struct sup_cli cli = {0};
    if (argc < 2) {
        sup_cli_help(NULL);
        return SUP_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    else if (strcmp(name, "--version") == 0)
        name = "version";
    cli.command = find(name);
    if (cli.command == NULL)
        return unknown_command(name);
    int status = cli.command->run(&cli, argc - 1, argv + 1);
    sup_transport_free(cli.transport);
    /* A full disk or a closed pipe must not look like success. */
    if (fflush(stdout) != 0 || ferror(stdout))
        return sup_cli_error(SUP_EXIT_UNKNOWN, "standard output: cannot be written");
    return status;
}
