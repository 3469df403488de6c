/** What is right word by word and wrong as a whole. */
import type { Folder } from './document.ts'
import type { Model } from './model.ts'
import type { Scope } from './row.ts'

export const checkModel = (_folder: Folder, _scope: Scope, _model: Model): void => {}
