#include "http/answer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "http/exposition.h"
#include "http/http.h"

#define FRESH_MS 20  /* figures that are not older are shown again */
#define TELL_MS 250  /* how long a client waits for new ones */
#define BUSY_MS 1000 /* then nobody waits for so long */
/* A reload may look up host names for 10 s. */
#define LATE_MS 20000

#define TEXT "text/plain; charset=utf-8"

/*
 * The newest figures, with a reference; NULL: there are none yet.  Those of
 * before are shown while the main thread is busy: one client in a while finds
 * out whether it still is, and delays those behind it.
 */
static struct metrics *
get_metrics(struct http *http)
{
	uint64_t now_ms = clock_ms(), end_ms = now_ms + TELL_MS;
	struct timespec end = { (time_t)(end_ms / 1000),
		(long)(end_ms % 1000) * 1000000 };
	int rc = 0;

	pthread_mutex_lock(&http->lock);
	const struct metrics *old = http->metrics;
	bool is_fresh = old != NULL && now_ms < old->taken_ms + FRESH_MS;
	if (!is_fresh && !http->is_joining && now_ms >= http->busy_ms) {
		eventfd_write(http->ask_fd, 1);
		while (http->metrics == old && rc == 0 && !http->is_joining)
			rc = pthread_cond_timedwait(&http->told, &http->lock,
			    &end);
	}
	if (rc != 0)
		http->busy_ms = end_ms + BUSY_MS;
	struct metrics *metrics = http->metrics;
	if (metrics != NULL)
		metrics->references++;
	pthread_mutex_unlock(&http->lock);
	return metrics;
}

/* A response that owns text, which is freed if there is none. */
static struct MHD_Response *
make_response(const struct http *http, char *text, size_t len, const char *type)
{
	struct MHD_Response *response = NULL;

	if (text != NULL)
		response = http->library.create_response_from_buffer(len, text,
		    MHD_RESPMEM_MUST_FREE);
	if (response == NULL)
		free(text);
	else
		http->library.add_response_header(response, "Content-Type",
		    type);
	return response;
}

static struct MHD_Response *
respond_metrics(struct http *http, struct MHD_Connection *connection,
    unsigned *status)
{
	const char *accept = http->library.lookup_connection_value(connection,
	    MHD_HEADER_KIND, "Accept");
	bool is_open = accept != NULL &&
	               exposition_prefers_open_metrics(accept);
	struct metrics *metrics = get_metrics(http);
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	*status = metrics != NULL ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
	if (out != NULL && metrics != NULL)
		metrics_write(metrics, http->started_ns, out, is_open);
	metrics_release(metrics);
	bool is_whole = out != NULL && ferror(out) == 0;
	if (out != NULL && fclose(out) == 0 && is_whole)
		return make_response(http, text, len,
		    is_open ? EXPOSITION_OPEN_METRICS : EXPOSITION_PROMETHEUS);
	free(text);
	return NULL;
}

/* Why not all threads are responsive, or NULL. */
static const char *
find_hang(const struct http *http)
{
	if (http->beat_ms + LATE_MS <= clock_ms())
		return "the main thread does not respond\n";
	return http->responsive ? NULL : "a thread does not respond\n";
}

static struct MHD_Response *
respond(struct http *http, struct MHD_Connection *connection, const char *path,
    unsigned *status)
{
	const char *problem = NULL, *good;

	if (strcmp(path, "/metrics") == 0)
		return respond_metrics(http, connection, status);
	if (strcmp(path, "/live") == 0) {
		problem = find_hang(http);
		good = "all threads respond\n";
	} else if (strcmp(path, "/ready") == 0) {
		problem = http->unready;
		if (problem == NULL)
			problem = find_hang(http);
		good = "new clients are welcome\n";
	} else {
		*status = MHD_HTTP_NOT_FOUND;
		problem = "there are: /metrics, /live, /ready\n";
		good = NULL;
	}
	if (good != NULL)
		*status = problem == NULL ? MHD_HTTP_OK
		                          : MHD_HTTP_SERVICE_UNAVAILABLE;
	char *text = strdup(problem != NULL ? problem : good);
	return make_response(http, text, text != NULL ? strlen(text) : 0, TEXT);
}

static struct MHD_Response *
refuse(const struct http *http, unsigned *status)
{
	char *text = strdup("only GET and HEAD\n");
	struct MHD_Response *response = make_response(http, text,
	    text != NULL ? strlen(text) : 0, TEXT);

	*status = MHD_HTTP_METHOD_NOT_ALLOWED;
	if (response != NULL)
		http->library.add_response_header(response, "Allow",
		    "GET, HEAD");
	return response;
}

enum MHD_Result
answer_request(void *cls, struct MHD_Connection *connection, const char *path,
    const char *method, const char *version, const char *data, size_t *size,
    void **request)
{
	bool is_read = strcmp(method, "GET") == 0 ||
	               strcmp(method, "HEAD") == 0;
	const struct http *http = cls;
	unsigned status;
	struct MHD_Response *response = is_read ? respond(cls, connection, path,
						      &status)
	                                        : refuse(http, &status);

	(void)version;
	(void)data;
	(void)size;
	(void)request;
	/* Closes the connection. */
	if (response == NULL)
		return MHD_NO;
	http->library.add_response_header(response, "Connection", "close");
	http->library.add_response_header(response, "Cache-Control",
	    "no-store");
	enum MHD_Result result = http->library.queue_response(connection,
	    status, response);
	http->library.destroy_response(response);
	return result;
}
