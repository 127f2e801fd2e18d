/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The doorbell file of a process's context (layer 6): model in doorbell.c. */
#ifndef HODP_DOORBELL_H
#define HODP_DOORBELL_H

#include "qp.h"

struct file;
struct hodp_doorbell;

/**
 * hodp_doorbell_open - create the doorbell file of a new context
 * @file: set to the file; the caller installs it, or drops it with fput()
 *
 * Return: the context's reference, dropped by hodp_doorbell_close(), or
 * ERR_PTR(-ENOMEM).
 */
struct hodp_doorbell *hodp_doorbell_open(struct file **file);

/* Another file of the same context, for a process that imports the context; or
 * ERR_PTR.
 */
struct file *hodp_doorbell_share(struct hodp_doorbell *db);
void hodp_doorbell_close(struct hodp_doorbell *db);

/* Allow a QP to be rung (0, -ENOMEM), and disallow it for good. */
int hodp_doorbell_add(struct hodp_doorbell *db, struct hodp_qp *qp);
void hodp_doorbell_remove(struct hodp_doorbell *db, struct hodp_qp *qp);

#endif /* HODP_DOORBELL_H */
