import type { Emulator } from './emulator.ts';
import { notFound } from './polar-refusal.ts';
import type { CustomerRecord } from './records.ts';
import { toCustomerState } from './wire.ts';

export function customerById(emulator: Emulator, id: string): CustomerRecord {
  const customer = emulator.store.customers.get(id);
  if (!customer || customer.wire.deleted_at !== null) throw notFound('Customer not found.');
  return customer;
}

export function customerByExternalId(emulator: Emulator, externalId: string): CustomerRecord {
  const customer = livingCustomers(emulator).find(({ wire }) => wire.external_id === externalId);
  if (!customer) throw notFound('Customer not found.');
  return customer;
}

export function livingCustomers(emulator: Emulator): CustomerRecord[] {
  return emulator.store.customers.all().filter(({ wire }) => wire.deleted_at === null);
}

/** Filters for lists whose rows belong to a customer. */
export function ofCustomer<R>(emulator: Emulator, customerId: (row: R) => string | null) {
  // A deleted customer has no external id.
  const externalId = (row: R) => emulator.store.customers.get(customerId(row) ?? '')?.wire.external_id;
  return {
    customer_id: (row: R, values: string[]) => values.includes(customerId(row) ?? ''),
    external_customer_id: (row: R, values: string[]) => values.includes(externalId(row) ?? ''),
  };
}

/** Emits that the result of `customers.getState` has changed. */
export function emitStateChange(emulator: Emulator, customerId: string): void {
  const customer = emulator.store.customers.get(customerId);
  if (customer) emulator.emit('customer.state_changed', toCustomerState(emulator, customer.wire));
}
