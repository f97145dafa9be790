#ifndef SUP_CODEC_REPORT_CALLS_H
#define SUP_CODEC_REPORT_CALLS_H

/* Calls of AWS that reports and status count. Numbers are stored: never renumber. */

enum sup_report_call {
    SUP_CALL_LIST,
    SUP_CALL_GET,
    SUP_CALL_PUT,
    SUP_CALL_DELETE,
    SUP_CALL_IMPORT,      /* CreateImportJob */
    SUP_CALL_THROTTLED,   /* among all of them */
    SUP_CALL_IMPORT_GET,  /* GetImportJob */
    SUP_CALL_IMPORT_LIST, /* ListImportJobs */
    SUP_CALL_S3_PUT,      /* an import job's rows */
    SUP_CALL_S3_GET,      /* its rows that failed */
    SUP_CALL_S3_DELETE,
    SUP_CALL_ACCOUNT,  /* GetAccount */
    SUP_CALL_SETTINGS, /* whatever else says or sets what is in force: configuration sets … */
    SUP_CALL_RETRIED,  /* among all of them: made again after one that failed or was throttled */
    SUP_N_CALLS
};
const char *sup_report_call_name(enum sup_report_call c);

#endif
